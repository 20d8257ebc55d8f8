"""Named sweeps for `ptft sweep NAME`, each with a small twin that takes seconds."""

from ptft_jax.grid import Grid, chain, product, values, zipped
from ptft_jax.tasks import gaussian_law, gradient, head, pretraining

DOUBLING = tuple(1 << k for k in range(5, 15))
WORLDS = zipped(
    values("world", ("gaussian_means", "gamma_poisson", "contaminated")),
    values("mismatch", (0.3, 0.3, 0.5)),
)
RADII = values("radius", (0.03, 0.1, 0.3))
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
