import pytest
from cells import listing

from ptft_jax import cli

BAD_FILES = {
    "text.csv": b"a,b\n1,2\n3,four\n5,6\n",
    "negative.csv": b"a,b\n1,2\n3,-4\n5,6\n",
    "one.csv": b"a,b\n1,2\n3,\n5,\n",
    "duplicate.csv": b"a,a\n1,2\n3,4\n5,6\n",
    "empty.csv": b"",
    "encoding.csv": b"a,b\n1,2\n3,\xff\xfe\n",
    "infinite.csv": b"a,b\n1,2\n3,inf\n5,6\n",
    "constant.csv": b"a,b\n1,2\n1,4\n1,6\n",
}


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("command", ["validate", "decide"])
def test_a_bad_file_is_refused_and_nothing_written(folder, capfd, name, command):
    (folder / name).write_bytes(BAD_FILES[name])
    before = listing(folder)
    file = ["--data", name] if command == "validate" else [name]
    assert cli.main([command, *file, "--quantile", ".9"]) == 2
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.count("error:") == 1
    assert name in captured.err
    assert "Traceback" not in captured.err
    assert listing(folder) == before


BAD_REQUESTS = [
    ("validate --data absent.csv --quantile .9", "absent.csv"),
    ("validate --data good.csv", "--quantile"),
    ("validate --data good.csv --quantile 1.5", "--quantile"),
    ("validate --data good.csv --quantile high", "--quantile"),
    ("validate --data good.csv --quantile .9 --n 64", "12 instances"),
    ("validate --data good.csv --quantile .9 --n 2", "--n"),
    ("validate --data good.csv --quantile .9 --n few", "--n"),
    ("validate --data good.csv --quantile .9 --n ,", "--n"),
    ("validate --data good.csv --quantile .9 --observations 1", "--observations"),
    ("validate --data good.csv --quantile .9 --observations 31", "--observations"),
    ("validate --data good.csv --quantile .9 --seeds 0", "--seeds"),
    ("validate --data good.csv --quantile .9 --delta 0", "--delta"),
    ("validate --data good.csv --quantile .9 --out good.csv", "--out"),
    ("validate --data good.csv --quantile .9 --weights absent", "absent"),
    ("validate --data good.csv --quantile .9 --weights good.csv", "good.csv"),
    ("validate --data good.csv --world lognormal", "not both"),
    (
        "validate --data good.csv --quantile .9 --protocol rolling --observations 25",
        "--observations",
    ),
    ("validate --world nowhere", "nowhere"),
    ("validate --world lognormal --n max", "--data"),
    ("validate --world lognormal --min-positive 5", "--data"),
    ("validate --world three_part --drop-unusable", "--data"),
    ("validate --world lognormal --protocol rolling", "--data"),
    ("validate --world gaussian_means --observations 5,10", "--observations"),
    ("validate --world three_part --observations 10", "three_part have no number"),
    ("validate --world pricing_loglog --observations 1", "--observations"),
    ("validate --preset huge", "huge"),
    ("validate --unknown", "--unknown"),
    ("decide good.csv", "quantile"),
    ("decide good.csv --quantile 0", "quantile"),
    ("decide good.csv --quantile .9 --delta 1", "--delta"),
    ("decide good.csv --quantile .9 --observations 1", "--observations"),
    ("decide good.csv --quantile .9 --out .", "--out"),
    ("decide good.csv --quantile .9 --out ./good.csv", "good.csv"),
    ("decide good.csv --quantile .9 --weights absent", "absent"),
    ("decide good.csv --quantile .9 --seed 99999999999999999999", "--seed"),
    ("decide good.csv --problem gaussian_means --seed -1", "--seed"),
    ("decide", "FILE"),
    ("pretrain --out x.safetensors --steps 0", "--steps"),
    ("pretrain --out x.safetensors --seed 4294967296", "--seed"),
    ("pretrain --out x.safetensors --resume", "resume"),
    ("info --weights good.csv", "good.csv"),
    ("", ""),
    ("nonsense", "nonsense"),
]


@pytest.mark.parametrize(("line", "named"), BAD_REQUESTS)
def test_an_impossible_request_is_refused_and_nothing_written(
    folder, capfd, line, named
):
    before = listing(folder)
    assert cli.main(line.split()) == 2
    message = capfd.readouterr().err
    assert named.lower() in message.lower()
    assert message.strip()
    assert "Traceback" not in message
    assert listing(folder) == before
