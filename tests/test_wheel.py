"""The wheel, installed where there is no repository, predicts with a bundle."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import sysconfig
import venv
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import soundfile as sf
from helpers import ROOT
from helpers.music import tone
from helpers.small_data import fill

from earmark.cli import main


def run(*command: object, **options: object) -> str:
    """Run a command and return what it prints; its errors are the test's."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)  # type: ignore[call-overload]
    assert done.returncode == 0, done.stderr[-3000:]
    return str(done.stdout)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of a copy of the sources: a build leaves folders beside them."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    run("cp", "-r", ROOT / "src", folder / "src")
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet"]
    run(sys.executable, "-m", "pip", "wheel", *offline, "--wheel-dir", folder / "out", folder)
    (found,) = (folder / "out").glob("earmark-*.whl")
    return found


def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    sources = {path.relative_to(ROOT / "src").as_posix() for path in (ROOT / "src/earmark").rglob("*.py")}
    assert sources <= set(names)
    assert "earmark/corpus/synonyms/magnatagatune.yaml" in names
    assert "earmark/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"earmark", wheel.name.split("-py3")[0] + ".dist-info"}


def of_extras() -> list[str]:
    """The modules of this environment that no default dependency leads to: those of extras, and strangers."""
    spec = importlib.util.spec_from_file_location("licences", ROOT / "tools/licences.py")
    assert spec is not None
    assert spec.loader is not None
    licences = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(licences)
    default = {name for name, groups in licences.needed().items() if groups == {"default"}} | {"earmark"}
    owners = packages_distributions().items()
    return sorted(name for name, found in owners if not default & {licences.normal(one) for one in found})


REFUSED = """
import sys
names = {names!r}
class Refusing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in names:
            raise ImportError(name + " is of an extra")
sys.meta_path.insert(0, Refusing())
"""


def test_a_bundle_predicts_in_an_environment_with_the_wheel_alone(wheel, tmp_path, make_corpus, capsys):
    """The dependencies are this environment's, by a path file, but for those of extras; earmark comes of the wheel."""
    place = fill(tmp_path, *make_corpus())
    bundle = tmp_path / "best.earmark"
    assert main(["bundle", "linear", "-o", str(bundle), "--params", str(place.params), "--data", str(place.data)]) == 0
    capsys.readouterr()
    sf.write(tmp_path / "song.wav", tone(3, 300), 16_000)
    assert main(["predict", "--model", str(bundle), "--json", str(tmp_path / "song.wav")]) == 0
    expected = json.loads(capsys.readouterr().out)
    empty = tmp_path / "empty"
    venv.create(empty / "env", with_pip=False, symlinks=True)
    python = empty / "env/bin/python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    extras = of_extras()
    assert {"mutagen", "matplotlib", "pytest"} & set(extras)
    (site / "sitecustomize.py").write_text(REFUSED.format(names={*extras, "librosa", "kymatio"}))
    alone = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    asked = subprocess.run([python, "-c", "import pytest"], env=alone, capture_output=True, check=False)
    assert asked.returncode != 0
    where = run(python, "-c", "import earmark; print(earmark.__file__)", cwd=empty, env=alone)
    assert Path(where.strip()).is_relative_to(site)
    command = "import sys; from earmark.cli import main; sys.exit(main(sys.argv[1:]))"
    song = tmp_path / "song.wav"
    shown = run(python, "-c", command, "predict", "--model", bundle, "--json", song, cwd=empty, env=alone)
    assert json.loads(shown) == expected
