"""The tasks of this project. Data alone: a task's function is imported when a study calls it."""

from mcr2_landscape.study.task import Task

_HERE = "mcr2_landscape.study.tasks"

TASKS = (
    Task(
        "search",
        "Searches a problem for critical points of every index, beside those that theory lists.",
        f"{_HERE}.search:search",
    ),
    Task("classify", "Measures index and nullity of a random member of an orthogonal family.", f"{_HERE}.classify:classify"),
    Task("phase", "What the printed and the corrected theorem say of the global maximizers.", f"{_HERE}.phase:phase", 1 << 28),
    Task("profile", "The value h(s) of one direction over its squared singular value.", f"{_HERE}.profile:profile", 1 << 28),
    Task("ascend", "Ascent from a random start: the way, and where it ends.", f"{_HERE}.ascend:ascend"),
    Task("rates", "Measures how fast ascent approaches a maximizer, or leaves a saddle.", f"{_HERE}.rates:rates", 1 << 28),
    Task("verify", "Checks one claim.", f"{_HERE}.verify:verify", 3 << 29),
    Task(
        "ctrl_survey",
        "Critical points on spheres of a random problem with too few dimensions: what they are.",
        f"{_HERE}.ctrl_survey:ctrl_survey",
        1 << 28,
    ),
    Task(
        "ctrl_game",
        "The game of several subspaces, played once: exactly, by gradient dynamics or as the paper's code does.",
        f"{_HERE}.ctrl_game:ctrl_game",
    ),
    Task(
        "ctrl_single",
        "The game of one subspace, played once: exactly, or by gradient ascent.",
        f"{_HERE}.ctrl_single:ctrl_single",
    ),
    Task(
        "ctrl_network",
        "Trains networks, or a linear VAE, as encoder and decoder, and says where they end.",
        f"{_HERE}.ctrl_network:ctrl_network",
        3 << 29,
        "float32",
    ),
    Task(
        "ctrl_threshold",
        "How many directions of a class are kept over the precision: in closed form, and with all numbers tried out.",
        f"{_HERE}.ctrl_threshold:ctrl_threshold",
        1 << 28,
    ),
    Task(
        "ctrl_responses",
        "The dimension of the set of the decoder's best responses: by formula, and measured.",
        f"{_HERE}.ctrl_responses:ctrl_responses",
        1 << 28,
    ),
    Task(
        "ctrl_stability",
        "Simultaneous ascent beside an equilibrium: its rate as predicted and as simulated.",
        f"{_HERE}.ctrl_stability:ctrl_stability",
    ),
    Task(
        "ctrl_starts",
        "Which maxima the encoder's ascent reaches from random starts, beside those that theory lists.",
        f"{_HERE}.ctrl_starts:ctrl_starts",
    ),
    Task(
        "markov_learn",
        "Independent learning in the routing game, many learners at once.",
        f"{_HERE}.markov_learn:markov_learn",
        3 << 29,
    ),
    Task(
        "markov_distance",
        "How far a random Markov game is from a Markov potential game.",
        f"{_HERE}.markov_distance:markov_distance",
        1 << 28,
    ),
    Task(
        "product_times",
        "How long a product with the Hessian takes, beside what the machine can do.",
        f"{_HERE}.product_times:product_times",
        3 << 29,
    ),
    Task(
        "inertia_times",
        "How long the complete inertia at a point takes.",
        f"{_HERE}.inertia_times:inertia_times",
    ),
    Task(
        "game_times",
        "How long values, Q-functions and best responses of a routing game take.",
        f"{_HERE}.game_times:game_times",
    ),
    Task(
        "denoising",
        "A step against the gradient of R_c beside denoising, on tokens near orthogonal subspaces.",
        f"{_HERE}.denoising:denoising",
    ),
    Task("snr", "Signal over noise in the attention-only transformer, layer by layer.", f"{_HERE}.snr:snr"),
    Task("nothing", "Nothing: what a study itself costs.", f"{_HERE}.nothing:nothing", 1 << 28),
    Task("train", "Trains a small network on the digits, and says where it ends.", f"{_HERE}.train:train", 3 << 29, "float32"),
    Task(
        "transformer",
        "Trains a white-box transformer or its twin to classify images, and measures what its layers do.",
        f"{_HERE}.transformer:transformer",
        3 << 29,
        "float32",
    ),
    Task(
        "completion",
        "Trains a masked autoencoder, and says how well it completes images and what its tokens know.",
        f"{_HERE}.completion:completion",
        3 << 29,
        "float32",
    ),
    Task(
        "csc_loop",
        "Trains the closed loop of convolutional sparse coding on images, and says whether pixels follow.",
        f"{_HERE}.csc_loop:csc_loop",
        3 << 29,
        "float32",
    ),
    Task(
        "flat_flow",
        "A curve or surface on its way through the layers of FlatNet, and how distances change by it.",
        f"{_HERE}.flat_flow:flat_flow",
    ),
    Task(
        "flat_interpolation",
        "Straight lines between codes of FlatNet, decoded, beside straight lines between the points.",
        f"{_HERE}.flat_interpolation:flat_interpolation",
    ),
    Task(
        "flat_dimension",
        "Flattens a manifold of several dimensions, and estimates its dimension in several ways.",
        f"{_HERE}.flat_dimension:flat_dimension",
        3 << 29,
    ),
    Task(
        "csc_images",
        "Learns atoms from images, and codes images that were not seen, beside random atoms.",
        f"{_HERE}.csc_images:csc_images",
        3 << 29,
    ),
    Task(
        "csc_convergence",
        "How fast iterations solve a sparse coding program, beside what theory promises.",
        f"{_HERE}.csc_convergence:csc_convergence",
    ),
)
