import subprocess
import sys

from ptft_jax import provenance


def test_records_of_edited_code_are_counted():
    own, other = {"code": provenance.code()}, {"code": "another"}
    assert provenance.complaint([own, own]) is None
    assert provenance.complaint([]) is None
    said = provenance.complaint([own, other, {}])
    assert said.startswith("warning: 2 of them were computed before")


def test_the_code_is_the_same_in_every_process():
    line = "from ptft_jax import provenance; print(provenance.code())"
    done = subprocess.run(
        [sys.executable, "-c", line], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == provenance.code()
