"""`mcr2-landscape game`."""

from __future__ import annotations

import functools
from typing import Annotated, Literal

from cyclopts import Parameter

from mcr2_landscape.cli.options import File, check_count, check_seed


def game(
    game: str,
    /,
    *,
    players: int = 4,
    routes: int = 2,
    threshold: int = 2,
    own_rewards: Annotated[bool, Parameter(negative="")] = False,
    action_independent: Annotated[bool, Parameter(negative="")] = False,
    unsafe_costs_more: Annotated[bool, Parameter(negative="")] = False,
    policy: str | None = None,
    arithmetic: Literal["exact", "float"] | None = None,
    learn: int | None = None,
    perturbed: float | None = None,
    seeds: int | None = None,
    record_every: int | None = None,
    q_exponent: float | None = None,
    policy_exponent: float | None = None,
    temperature: float | None = None,
    exploration: float | None = None,
    checkpoint: str | None = None,
    resume: Annotated[bool, Parameter(negative="")] = False,
    certificate: str | None = None,
    seed: int = 0,
    json: File = None,
    report: File = None,
) -> int:
    """Say whether a Markov game is a potential game, what its equilibria are, and what players learn.

    Parameters
    ----------
    game
        A file (.json, .npz; see docs/markov.md), the word routing for the routing game of the paper's experiments, or the name
        of a small example: opposed-interests, pure-cycles-vanish, compensated-pennies, entropy-moves.
    players
        Of the routing game.
    routes
        Of the routing game; with more than two, their costs are those of the first two in turn.
    threshold
        Of the routing game: a route with fewer players than this is more likely to be safe next.
    own_rewards
        Of the routing game: every player receives its own payoff, not the sum of all.
    action_independent
        Of the routing game: transitions averaged over all actions.
    unsafe_costs_more
        Of the routing game: costs are doubled on unsafe routes, not on safe ones.
    policy
        A policy to evaluate: a .json file of a list with a table (states, actions) for each player. By default the uniform one.
    arithmetic
        Of the decision test: by default exact where the game's numbers are.
    learn
        Let the players learn for so many steps, rounded up to a multiple of those between two records.
    perturbed
        Decide too whether the game perturbed by entropies at this temperature is a potential game.
    seeds
        Independent runs of learning, by default 64.
    record_every
        Of how many steps one is recorded: by default a hundredth of all.
    q_exponent
        The values' step sizes are n^-x after n visits, x by default 0.5.
    policy_exponent
        The policies' step sizes are n^-x, x by default 1.
    temperature
        Of the smoothed deviation in learning, by default 1e-6.
    exploration
        Probability of a random action beside the best one; it replaces the smoothed deviation.
    checkpoint
        A folder that keeps what was learned.
    resume
        Go on from there.
    certificate
        Write the refutation as a certificate to this file, for mcr2-landscape check. Where there is none the exit status is 1.
    seed
        Seed of random points and of learning.
    json
        Write everything to this JSON file; - is standard output.
    report
        Write an HTML report with pictures to this file.
    """
    from mcr2_landscape.cli.gaming import (
        check_learning,
        game_of,
        learned_words,
        named_as_options,
        policy_of,
        records,
        step_of,
        write_certificate,
    )
    from mcr2_landscape.cli.output import Output, show_progress
    from mcr2_landscape.errors import InputError
    from mcr2_landscape.files import check_writable

    check_seed(seed)
    if seeds is not None:
        check_count("--seeds", seeds)
    if learn is not None:
        check_count("--learn", learn)
    if record_every is not None:
        check_count("--record-every", record_every)
    if learn is None:
        check_learning(
            seeds=seeds,
            record_every=record_every,
            q_exponent=q_exponent is not None,
            policy_exponent=policy_exponent is not None,
            temperature=temperature is not None,
            exploration=exploration is not None,
            checkpoint=checkpoint,
            resume=resume,
        )
    if certificate is not None:
        check_writable(certificate, "--certificate")
    if perturbed is not None and not 0 < perturbed < float("inf"):
        raise InputError(f"--perturbed: found {perturbed:g}; give a temperature above zero")
    output = Output(json, report)
    routing = {"num_players": players, "num_routes": routes, "threshold": threshold}
    routing |= {"common_interest": not own_rewards, "action_independent": action_independent}
    with named_as_options():
        found, source = game_of(game, routing, unsafe_costs_more=unsafe_costs_more)
        from mcr2_landscape.markov import learning
        from mcr2_landscape.markov.examination import examine_game

        num_seeds = 64 if seeds is None else seeds
        run = functools.partial(
            learning.learn,
            found,
            key=seed,
            num_seeds=num_seeds,
            q_step=step_of("--q-exponent", 0.5 if q_exponent is None else q_exponent),
            policy_step=step_of("--policy-exponent", 1.0 if policy_exponent is None else policy_exponent),
            temperature=temperature,
            exploration=0.0 if exploration is None else exploration,
        )
        if learn is not None:
            run(num_steps=1, record_every=1)  # finds what is wrong with the options before the long work
        result = examine_game(
            found,
            policy=None if policy is None else policy_of(policy, found),
            policy_name="the uniform policy" if policy is None else policy,
            exact=None if arithmetic is None else arithmetic == "exact",
            temperature=perturbed or 0,
            key=seed,
            source=source,
            announce=output.note,
        )
        written = True
        if certificate is not None:
            written, words = write_certificate(result, certificate)
            output.note(words)
        history = None
        if learn is not None:
            num_steps, every = records(learn, record_every)
            if num_steps != learn:
                output.note(
                    f"--learn: {learn:,} steps are rounded up to {num_steps:,}, a multiple of the {every:,} between records"
                )
            history = run(
                num_steps=num_steps, record_every=every, checkpoint=checkpoint, resume=resume, progress=show_progress()
            )
    findings = result.summary + (() if history is None else learned_words(history))
    configuration = {"game": found.arguments(), "seed": seed, "learn": learn, "seeds": num_seeds}
    from mcr2_landscape.report import game_page, game_tables
    from mcr2_landscape.report.documents import document

    plain = document("game", {"game": result, "learning": history}, configuration=configuration, key=seed)
    output.files(plain, lambda: game_page.game_page(result, history, findings, plain["provenance"]))
    counts = ", ".join(
        f"{count} {name}{'s' if count != 1 else ''}"
        for name, count in (("player", result.num_players), ("state", result.num_states))
    )
    output.heading(f"{source}: {counts}, discount {result.discount:g}")
    output.sentences("What was found", findings)
    output.sentences("Notes", result.notes)
    output.table(game_tables.tests(result))
    output.table(game_tables.states(result), limit=32)
    if history is not None:
        output.table(game_tables.learned(history))
        output.table(game_tables.conditions(history))
        if history.interrupted:
            output.note("interrupted: what was learned until then is shown" + (" and written" if json or report else ""))
            return 130
    return 0 if written else 1
