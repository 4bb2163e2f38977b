"""`mcr2-landscape game`."""

from __future__ import annotations

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
    seeds: int = 64,
    record_every: int | None = None,
    q_exponent: float = 0.5,
    policy_exponent: float = 1.0,
    temperature: float | None = None,
    exploration: float = 0.0,
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
        Let the players learn for so many steps.
    seeds
        Independent runs of learning.
    record_every
        Of how many steps one is recorded: by default a hundredth of all.
    q_exponent
        The values' step sizes are n^-x after n visits.
    policy_exponent
        The policies' step sizes are n^-x.
    temperature
        Of the smoothed deviation, by default 1e-6.
    exploration
        Probability of a random action beside the best one; it replaces the smoothed deviation.
    checkpoint
        A folder that keeps what was learned.
    resume
        Go on from there.
    certificate
        Write the refutation as a certificate to this file, for mcr2-landscape check.
    seed
        Seed of random points and of learning.
    json
        Write everything to this JSON file; - is standard output.
    report
        Write an HTML report with pictures to this file.
    """
    from mcr2_landscape.cli.gaming import game_of, learned_words, policy_of, write_certificate
    from mcr2_landscape.cli.output import Output, show_progress
    from mcr2_landscape.errors import InputError

    check_seed(seed)
    check_count("--seeds", seeds)
    if learn is not None:
        check_count("--learn", learn)
    if record_every is not None:
        check_count("--record-every", record_every)
    output = Output(json, report)
    routing = {"num_players": players, "num_routes": routes, "threshold": threshold}
    routing |= {"common_interest": not own_rewards, "action_independent": action_independent}
    found, source = game_of(game, routing, unsafe_costs_more=unsafe_costs_more)
    if learn is None and (resume or checkpoint is not None):
        raise InputError("--checkpoint, --resume: nothing is learned; give the number of steps with --learn")
    from mcr2_landscape.markov.examination import examine_game

    result = examine_game(
        found,
        policy=None if policy is None else policy_of(policy, found),
        policy_name="the uniform policy" if policy is None else policy,
        exact=None if arithmetic is None else arithmetic == "exact",
        key=seed,
        source=source,
        announce=output.note,
    )
    if certificate is not None:
        output.note(write_certificate(result, certificate))
    history = None
    if learn is not None:
        from mcr2_landscape.markov import power_step
        from mcr2_landscape.markov.learning import learn as run

        history = run(
            found,
            key=seed,
            num_steps=learn,
            num_seeds=seeds,
            q_step=power_step(q_exponent),
            policy_step=power_step(policy_exponent),
            temperature=temperature,
            exploration=exploration,
            record_every=record_every or next(every for every in range(-(-learn // 100), learn + 1) if learn % every == 0),
            checkpoint=checkpoint,
            resume=resume,
            progress=show_progress(),
        )
    findings = result.summary + (() if history is None else learned_words(history))
    configuration = {"game": found.arguments(), "seed": seed, "learn": learn, "seeds": seeds}
    from mcr2_landscape.report import game_page, game_tables
    from mcr2_landscape.report.documents import document

    plain = document("game", {"game": result, "learning": history}, configuration=configuration, key=seed)
    output.files(plain, lambda: game_page.game_page(result, history, findings, plain["provenance"]))
    output.heading(f"{source}: {result.num_players} players, {result.num_states} states, discount {result.discount:g}")
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
    return 0
