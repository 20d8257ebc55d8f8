"""The arena at a size for tests, still large enough to catch every control."""

from theory import arena

SMALL = arena.Settings(
    deltas=(0.05,),
    sequences=(1, 3),
    counts=(40, 120),
    expert_counts=(5,),
    experts=(1, 100, 1_000_000),
    ordered_sequences=(5,),
    ordered_samples=60,
    ordered_risks=(0.1, 0.4),
    sampled_deltas=(0.05,),
    instances=(40, 120),
    replications=60,
    ns=(50,),
    draws=1,
    trials=60,
)

# Dependent observations show in replications only.
MANY = SMALL._replace(counts=(5,), replications=300)
