"""One person extracts, everyone pulls: real remotes on loopback, and fresh clones that have no music."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py
import pytest
from helpers import ROOT
from helpers.clones import SMALL, Clone, experiments, six_songs
from helpers.music import tone, write_mp3

TWO = {
    "representations": SMALL["representations"]
    | {"coarse": {"kind": "mel", "rate": 16_000, "samples": 28_000, "hop": 512, "n_fft": 512, "n_mels": 24}}
}
KEYS = {"AWS_ACCESS_KEY_ID": "anyone", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_DEFAULT_REGION": "us-east-1"}


@contextmanager
def s3_server() -> Iterator[str]:
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


@contextmanager
def sftp_server(folder: Path) -> Iterator[int]:
    """Serve ``folder`` to the user ``someone`` with the password ``secret``; yields the port."""
    import asyncssh

    class Server(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return True

        def validate_password(self, username: str, password: str) -> bool:
            return (username, password) == ("someone", "secret")

    loop, ready, ports = asyncio.new_event_loop(), threading.Event(), []

    async def serve() -> None:
        server = await asyncssh.create_server(
            Server, "127.0.0.1", 0, server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder)),
        )  # fmt: skip
        ports.append(server.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        server.close()
        await server.wait_closed()

    async def main() -> None:
        nonlocal stop
        stop = asyncio.Event()
        await serve()

    stop: asyncio.Event
    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert ready.wait(20)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
        loop.close()


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """Clone A: two representations of six songs, two experiments, all run and committed; no remote yet."""
    folder = tmp_path_factory.mktemp("team") / "a"
    folder.mkdir()
    clone = Clone.of_this(folder).warm()
    six_songs(folder / "corpus")
    clone.small(**TWO)
    clone.repro()
    clone.commit("extracted")
    return clone


@contextmanager
def serving(kind: str, extracted: Clone, place: Path) -> Iterator[None]:
    """Give a clone a remote of this kind; its ``stored()`` returns the contents of all that is there."""
    run = extracted.run
    extracted.stored = lambda: {path.read_bytes() for path in place.rglob("*") if path.is_file()}
    if kind == "folder":
        run("dvc", "remote", "add", "--default", "--force", "team", str(place))
        yield
    elif kind == "s3":
        pytest.importorskip("moto", reason="needs moto, of earmark[test]")
        with s3_server() as url:
            import boto3

            client = boto3.client("s3", endpoint_url=url, aws_access_key_id="a", aws_secret_access_key="b")
            client.create_bucket(Bucket="team")
            extracted.stored = lambda: {
                client.get_object(Bucket="team", Key=found["Key"])["Body"].read()
                for page in client.get_paginator("list_objects_v2").paginate(Bucket="team")
                for found in page.get("Contents", [])
            }
            run("dvc", "remote", "add", "--default", "--force", "team", "s3://team/earmark")
            run("dvc", "remote", "modify", "team", "endpointurl", url)
            extracted.environment |= KEYS | {"AWS_EC2_METADATA_DISABLED": "true"}
            yield
    else:
        with sftp_server(place) as port:
            run("dvc", "remote", "add", "--default", "--force", "team", f"ssh://someone@127.0.0.1:{port}/store")
            run("dvc", "remote", "modify", "team", "password", "secret")
            run("dvc", "remote", "modify", "team", "allow_agent", "false")
            yield


@pytest.fixture(scope="module", params=["folder", "s3", "ssh"])
def remote(request, extracted, tmp_path_factory):
    """Clone A, which has pushed to a remote of each kind."""
    with serving(request.param, extracted, tmp_path_factory.mktemp("remote")):
        extracted.commit("a remote")
        assert re.search(r"\d+ files? pushed", extracted.run("dvc", "push"))
        yield extracted


def fresh(origin: Clone, place: Path) -> Clone:
    """Clone B: what git has, and nothing else."""
    origin.run("git", "clone", "--quiet", str(origin.folder), str(place))
    clone = Clone(place).warm()
    clone.environment |= {k: v for k, v in origin.environment.items() if k.startswith("AWS_")}
    clone.run("git", "config", "user.email", "else@example.org")
    clone.run("git", "config", "user.name", "Someone Else")
    return clone


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_what_one_extracts_another_pulls_trains_and_restores(remote, tmp_path):
    other = fresh(remote, tmp_path / "b")
    assert not (other.folder / "data").exists()
    other.run("dvc", "pull", "data/features/mel")
    assert files(other.folder / "data") == {f"features/mel/{shard}.h5" for shard in "01cd"}
    for shard in "01cd":
        name = f"data/features/mel/{shard}.h5"
        assert (other.folder / name).read_bytes() == (remote.folder / name).read_bytes()

    assert other.repro("--allow-missing", "train@cnn") == []

    other.params(experiments=experiments(learning_rate=0.0005))
    assert other.repro("--pull", "--allow-missing", "train@cnn") == ["train@cnn"]
    assert "features/coarse/0.h5" not in files(other.folder / "data")
    other.commit("another learning rate")  # on this clone's main alone
    other.run("dvc", "push", "--run-cache")

    third = fresh(remote, tmp_path / "c")  # has the settings, not the commit that holds the result
    third.params(experiments=experiments(learning_rate=0.0005))
    assert third.repro("--pull", "--allow-missing", "train@cnn") == []
    assert "Stage 'train@cnn' is cached - skipping run, checking out outputs" in third.output
    state = "data/models/cnn/model.safetensors"
    assert (third.folder / state).read_bytes() == (other.folder / state).read_bytes()


def test_no_music_leaves_the_machine_and_a_fresh_clone_pulls_and_reproduces_everything_else(remote, tmp_path):
    remote.run("dvc", "push", "--run-cache")
    stored = remote.stored()
    assert {path.read_bytes() for path in (remote.folder / "data/features").rglob("*.h5")} <= stored
    assert (remote.folder / "data/waveforms/16000/index.json").read_bytes() in stored
    for path in remote.waveforms().values():
        with h5py.File(path) as file:
            waves = [wave.tobytes() for wave in file["waveform"]]
        assert not any(wave in content for wave in (path.read_bytes(), *waves) for content in stored)
    assert not {path.read_bytes() for path in (remote.folder / "corpus/audio").rglob("*.mp3")} & stored

    other = fresh(remote, tmp_path / "b")
    other.run("dvc", "pull")
    assert other.repro("--pull") == []
    assert "Data and pipelines are up to date" in other.output
    assert not other.store.exists()

    other.params(representations=TWO["representations"] | {"mel": SMALL["representations"]["mel"] | {"n_mels": 56}})
    assert other.repro("--pull", "--allow-missing", "features@mel", code=255) == ["features@mel"]
    assert "data/features/mel cannot be computed here" in other.output
    assert "corpus/audio (corpus.audio); `dvc pull data/features/mel`" in other.output


def test_clips_that_are_added_to_one_folder_push_one_shard_per_representation(extracted, tmp_path):
    folder = tmp_path / "grown"
    extracted.run("git", "clone", "--quiet", str(extracted.folder), str(folder))
    grown = Clone(folder).warm()
    grown.run("cp", "-r", str(extracted.folder / "corpus"), str(folder / "corpus"))
    grown.run("cp", "-r", str(extracted.folder / "data"), str(folder / "data"))
    grown.run("cp", "-r", str(extracted.folder / "report"), str(folder / "report"))
    place = tmp_path / "remote"
    grown.run("dvc", "remote", "add", "--default", "--force", "team", str(place))
    grown.run("dvc", "commit", "--force", "--quiet")
    grown.run("dvc", "push")
    before, shards = files(place), {name: grown.times(f"data/features/{name}") for name in ("mel", "coarse")}
    annotations = folder / "corpus/annotations_final.csv"
    lines = []
    for number in range(10):
        path = f"1/artist_9-album-09-more-{29 * number}-{29 * number + 29}.mp3"
        write_mp3(folder / "corpus/audio" / path, tone(2, 500 + 100 * number))
        lines.append("\t".join(f'"{cell}"' for cell in (100 + number, number % 2, 1 - number % 2, 0, path)))
    annotations.write_text(annotations.read_text() + "\n".join(lines) + "\n")
    grown.repro("features")
    for name, times in shards.items():
        after = grown.times(f"data/features/{name}")
        assert {shard for shard in after if after[shard] != times[shard]} == {"1.h5"}
    grown.run("dvc", "push", "features@mel", "features@coarse")
    added = files(place) - before
    listings = {name for name in added if name.endswith(".dir")}
    assert (len(listings), len(added - listings)) == (2, 2)

    grown.params(representations={**TWO["representations"], "mel": SMALL["representations"]["mel"] | {"n_mels": 56}})
    untouched = grown.times("data/features/coarse")
    assert grown.repro("features") == ["features@mel"]
    assert grown.times("data/features/coarse") == untouched
    before = files(place)
    grown.run("dvc", "push", "features@mel", "features@coarse")
    assert len(files(place) - before) == 4 + 1


def test_shards_that_are_extracted_twice_are_the_same_bytes(extracted):
    before = {path: path.read_bytes() for path in (extracted.folder / "data/features").rglob("*.h5")}
    assert len(before) == 8
    for path in before:
        path.unlink()
    extracted.repro("--force", "features")
    assert {path: path.read_bytes() for path in before} == before


def test_a_corrupted_object_is_caught_and_nothing_takes_its_place(extracted, tmp_path):
    place = tmp_path / "remote"
    extracted.run("dvc", "remote", "add", "--default", "--force", "team", str(place))
    extracted.run("dvc", "remote", "modify", "team", "verify", "true")
    extracted.commit("a remote that is verified")
    extracted.run("dvc", "push")
    content = (extracted.folder / "data/features/mel/c.h5").read_bytes()
    damaged = next(path for path in place.rglob("*") if path.is_file() and path.read_bytes() == content)
    damaged.chmod(0o644)
    damaged.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    other = fresh(extracted, tmp_path / "b")
    output = other.run("dvc", "pull", "data/features/mel", code=1)
    assert "Checkout failed for following targets:\ndata/features/mel" in output
    assert not (other.folder / "data/features/mel/c.h5").exists()


def test_an_unreachable_remote_and_wrong_credentials_are_errors_that_leave_no_file(extracted, tmp_path):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
    extracted.run("dvc", "remote", "add", "--force", "away", f"ssh://someone@127.0.0.1:{port}/store")
    extracted.run("dvc", "remote", "modify", "away", "password", "secret")
    output = extracted.run("dvc", "push", "--remote", "away", "features@mel", code=255)
    assert re.search(r"refused|[Cc]onnect", output)
    with sftp_server(tmp_path) as port:
        extracted.run("dvc", "remote", "modify", "away", "url", f"ssh://someone@127.0.0.1:{port}/store")
        extracted.run("dvc", "remote", "modify", "away", "password", "wrong")
        extracted.run("dvc", "remote", "modify", "away", "allow_agent", "false")
        output = extracted.run("dvc", "push", "--remote", "away", "features@mel", code=255)
    assert "ERROR" in output
    assert files(tmp_path) == set()
    extracted.run("dvc", "remote", "remove", "away")
    assert os.environ.get("AWS_ACCESS_KEY_ID") is None


def test_by_the_projects_settings_what_a_stage_writes_and_dvc_keeps_is_one_file(tmp_path):
    clone = Clone(tmp_path / "project")
    clone.folder.mkdir()
    clone.run("git", "init", "--quiet")
    clone.run("dvc", "init", "--quiet")
    shutil.copy(ROOT / ".dvc/config", clone.folder / ".dvc/config")
    stage = {"cmd": "mkdir mel && cp shard mel/rock.h5", "deps": ["shard"], "outs": [{"mel": {"persist": True}}]}
    (clone.folder / "dvc.yaml").write_text(json.dumps({"stages": {"shards": stage}}))
    (clone.folder / "shard").write_bytes(b"features" * 1000)
    clone.run("dvc", "repro", "--quiet")
    kept = [path for path in (clone.folder / ".dvc/cache").rglob("*") if path.is_file()]
    assert any(path.samefile(clone.folder / "mel/rock.h5") for path in kept)
