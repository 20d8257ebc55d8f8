"""Named sweeps for `ptft sweep NAME`, each with a small twin that takes seconds."""

from ptft_jax.grid import Grid, chain, product, values, zipped
from ptft_jax.tasks import gaussian_law, gradient, head, pretraining

DOUBLING = tuple(1 << k for k in range(5, 15))
WORLDS = zipped(
    values("world", ("gaussian_means", "gamma_poisson", "contaminated")),
    values("mismatch", (0.3, 0.3, 0.5)),
)
RADII = values("radius", (0.03, 0.1, 0.3))
# the shipped newsvendor network and its optimizer, 1000 steps, one shape
SHIPPED = {
    "width": 64,
    "num_latents": 16,
    "num_blocks": 2,
    "optimizer": "muon",
    "num_steps": 1000,
    "portfolios": 32,
    "n": 64,
    "m": 20,
    "average_decay": 0.99,
}
# what is changed of it, one thing at a time
CHANGES = (
    {},
    {"width": 32},
    {"width": 96},
    {"observation_width": 64},
    {"num_latents": 4},
    {"num_latents": 64},
    {"num_blocks": 0},
    {"num_blocks": 1},
    {"num_blocks": 3},
    {"heads": 1},
    {"heads": 8},
    {"optimizer": "adamw"},
    {"matrix_rate": 5e-3},
    {"matrix_rate": 2e-2},
    {"weight_decay": 1e-2},
    {"average_decay": 0.9},
    {"average_decay": 0.998},
    {"num_quantiles": 1},
    {"num_future": 4},
    {"portfolios": 8, "n": 256},
    {"portfolios": 64, "m": 10, "n": 32},
)
QUICK = [{"num_steps": 60, "width": 16, "pool": 1024, "n_max": 256}]


def _seeds(count: int):
    return values("seed", range(count))


GRIDS: dict[str, Grid] = {
    "harmonic": Grid(
        gaussian_law.TASK,
        product(
            values("n", DOUBLING),
            values("mismatch", (0.05, 0.1, 0.2, 0.4)),
            values("tau2", (0.1, 0.5, 2.0)),
            _seeds(32),
        ),
        "harmonic law against simulation, Gaussian world",
    ),
    "harmonic_small": Grid(
        gaussian_law.TASK,
        product(values("n", (32, 256)), values("mismatch", (0.1, 0.4)), _seeds(4)),
        "harmonic law against simulation, a few cells",
    ),
    "head": Grid(
        head.TASK,
        chain(
            product(WORLDS, values("n", (32, 128, 512, 2048)), RADII, _seeds(16)),
            product(
                WORLDS,
                [{"n_max": 16384}],
                values("n", (4096, 16384)),
                RADII,
                _seeds(16),
            ),
        ),
        "head fine-tuning: error and certificate by n and radius",
    ),
    "head_small": Grid(
        head.TASK,
        product(QUICK, values("n", (64, 256)), _seeds(3)),
        "head fine-tuning, a few cells",
    ),
    "mismatch": Grid(
        head.TASK,
        chain(
            product(
                values("world", ("gaussian_means", "gamma_poisson")),
                values("mismatch", (0.0, 0.05, 0.1, 0.2, 0.4)),
                values("n", (32, 128, 512, 2048)),
                _seeds(16),
            ),
            product(
                values("world", ("contaminated",)),
                values("mismatch", (0.0, 0.1, 0.2, 0.4, 0.8)),
                values("n", (32, 128, 512, 2048)),
                _seeds(16),
            ),
        ),
        "what a wrong synthetic world costs before and after fine-tuning",
    ),
    "mismatch_small": Grid(
        head.TASK,
        product(QUICK, values("mismatch", (0.0, 0.4)), values("n", (64, 256))),
        "a wrong synthetic world, a few cells",
    ),
    "finetune": Grid(
        gradient.TASK,
        product(
            values("trained", ("adapter", "full", "scratch")),
            values("n", (16, 32, 64, 128, 256, 512, 1024, 2048)),
            values("rate", (1e-3, 3e-3)),
            _seeds(16),
        ),
        "fine-tuning by gradient steps, by class, n and learning rate",
    ),
    "finetune_small": Grid(
        gradient.TASK,
        product(
            QUICK,
            [{"segment_steps": 5, "batch": 32}],
            values("n", (64, 256)),
            _seeds(2),
        ),
        "fine-tuning by gradient steps, a few cells",
    ),
    "pretraining": Grid(
        pretraining.TASK,
        product(
            values("width", (16, 32, 64)),
            values("learning_rate", (5e-4, 1e-3, 2e-3, 4e-3, 8e-3)),
            _seeds(8),
        ),
        "pretraining loss by width and learning rate",
    ),
    "architecture": Grid(
        pretraining.TASK,
        product([{**SHIPPED, **change} for change in CHANGES], _seeds(2)),
        "the shipped network with one thing changed, 1000 steps",
    ),
    "architecture_small": Grid(
        pretraining.TASK,
        product(
            [{"num_steps": 20, "width": 16, "portfolios": 2, "fresh": 2}],
            [{"optimizer": "muon"}, {"optimizer": "muon", "num_blocks": 0}],
        ),
        "a small network with one thing changed",
    ),
    "pretraining_small": Grid(
        pretraining.TASK,
        product(
            [{"num_steps": 20, "width": 16, "portfolios": 2, "fresh": 2}],
            values("learning_rate", (1e-3, 1e-2)),
            _seeds(2),
        ),
        "pretraining loss, a few cells",
    ),
}
