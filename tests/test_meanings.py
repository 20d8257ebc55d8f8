"""What a run's report and manifest say of its rows is true of its problem."""

import html
import json
import re

import jax
import numpy as np
import pytest
import tiny
from cells import arguments, fake_cell, tables

from ptft_jax import certify, checkpoint, cli, lab, meanings, sources, validate
from ptft_jax.method import catalog
from ptft_jax.method import certify as method_certify
from ptft_jax.method import lab as method_lab
from ptft_jax.method import validate as method_validate

DEMAND = "Demand is unbounded"
LARGEST = {
    "newsvendor": 256,
    "gaussian_means": 384,
    "binomial_means": 384,
    "poisson_means": 384,
    "allocation": 384,
    "pricing": 192,
    "contextual": 96,
}


def validated(name, monkeypatch):
    """Page, manifest and tables of a run in a world, whose cells cost no time."""
    monkeypatch.setattr(method_validate, "run_cell", fake_cell)
    line = f"validate --world {name} --n 16,64 --out out --quiet"
    assert cli.main(line.split()) == 0
    with open("out/report.html") as page, open("out/manifest.json") as manifest:
        return html.unescape(page.read()), json.load(manifest), *tables("out")


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["binomial_means", "three_part", "pricing_loglog"])
def test_another_problem_is_told_of_in_its_own_words(folder, monkeypatch, name):
    page, manifest, _, bounds = validated(name, monkeypatch)
    says = manifest["meaning"]
    caution = catalog.WORLDS[name].problem.caution
    assert bool(caution) == (name != "binomial_means")
    said = f"{method_certify.MEANING} {caution}".strip()
    assert says["certificates"] == said
    assert said in page
    for text in (page, json.dumps(manifest)):
        assert DEMAND not in text
        assert "one observation fewer" not in text
        assert "demand law" not in text
        assert "no problem of this command" not in text
    assert says["James-Stein"].endswith("this command makes no row of it.")
    largest = LARGEST[catalog.WORLDS[name].problem.name]
    assert f"n_pre is {largest}," in says["rate_universal_priors"]
    assert f"n_pre is {largest}," in page
    # every rate and law that has rows is explained, and no kind of row that has none
    made = set(bounds.filter(bounds["tier"] != "certified")["bound"])
    own = {name for name in says if name.endswith("MODULE:FUNCTION")}
    assert set(says) == {*made, *own, meanings.CERTIFICATES, "James-Stein"}


@pytest.mark.usefixtures("undrawn")
def test_demand_is_told_of_as_before(folder, weights, monkeypatch):
    monkeypatch.setattr(validate, "run_cell", fake_cell)
    assert cli.main(arguments(weights, seeds=2)) == 0
    page = html.unescape((folder / "out/report.html").read_text())
    says = json.loads((folder / "out/manifest.json").read_text())["meaning"]
    assert says["certificates"] == certify.MEANING
    assert certify.MEANING in page
    assert "n_pre is 256," in says["rate_universal_priors"]
    assert {"path_kl", "two_path", "mismatch_pretrained", "harmonic"} <= set(says)


@pytest.mark.parametrize("name", LARGEST)
def test_the_shipped_weights_were_pretrained_on_what_is_said(name):
    with checkpoint.shipped(name) as file:
        made_by = checkpoint.header(file).info["config"]
    shapes = re.findall(r"\((\d+), (\d+), (\d+)\)", made_by)
    assert max(int(n) for _, n, _ in shapes) == LARGEST[name]
    if name == "newsvendor":
        given = tiny.NETWORK, tiny.params(), tiny.EFFORT, 0.05
        room = lab.open_lab(sources.WorldSource("lognormal"), *given)
        assert room.pretrained_on == LARGEST[name]
    else:
        assert catalog.PRETRAINED[name].config.most_instances == LARGEST[name]


@pytest.mark.parametrize("name", catalog.WORLDS)
def test_a_world_says_whether_its_instances_have_a_number_of_observations(name):
    world = catalog.WORLDS[name]
    key = jax.random.key(0)
    drawn = lambda key: world.sample_instances(key, world.sample_law(key), 16)
    truth = jax.eval_shape(drawn, key)
    program = lambda m: str(
        jax.make_jaxpr(lambda key, truth: world.observe(key, truth, m))(key, truth)
    )
    assert (program(5) == program(10)) != world.has_observations


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("name", ["gaussian_means", "allocation", "contextual_normal"])
def test_only_observations_that_there_are_have_a_number(folder, monkeypatch, name):
    page, _, risks, bounds = validated(name, monkeypatch)
    m = 10 if catalog.WORLDS[name].has_observations else None
    assert set(risks["observations"]) == set(bounds["observations"]) == {m}
    assert ("m = 10" in page) == (m is not None)
    assert ("no m, n = 16" in page) == (m is None)


def test_a_world_draws_the_same_whatever_number_it_does_not_look_at():
    world = catalog.WORLDS["three_part"]
    draw = lambda m: method_lab.draw(
        world, sources.Cell("iid", 8, m, None, 0), "draw", 8
    )
    same = jax.tree.map(np.array_equal, draw(None), draw(10))
    assert all(jax.tree.leaves(same))
