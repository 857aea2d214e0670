import types

import pytest

from benchmark.config.schema_embedding import WeightsConfig
from benchmark.embeddings import weight_sources
from benchmark.embeddings.hub_commits import is_commit, whole_commit
from benchmark.errors import UserError

COMMITS = ["1f5a640" + 33 * "0", "1f5a641" + 33 * "1", "abcdef0" + 33 * "a", "abcdef0" + 33 * "b"]


@pytest.fixture
def hub(monkeypatch):
    """A hub that knows one repository, and counts how often it is asked."""
    import huggingface_hub

    asked = []

    class Api:
        def list_repo_commits(self, repository):
            asked.append(repository)
            if repository != "someone/net":
                raise ConnectionError("no route\nto the host")
            return [types.SimpleNamespace(commit_id=commit) for commit in COMMITS]

    monkeypatch.setattr(huggingface_hub, "HfApi", Api)
    whole_commit.cache_clear()
    yield asked
    whole_commit.cache_clear()


def test_a_whole_commit_needs_no_hub(hub):
    assert whole_commit("nobody/nothing", COMMITS[0]) == COMMITS[0]
    assert hub == []


def test_first_digits_are_completed_once(hub):
    assert whole_commit("someone/net", "1f5a640") == COMMITS[0]
    assert whole_commit("someone/net", "1f5a640") == COMMITS[0]
    assert hub == ["someone/net"]


@pytest.mark.parametrize(("revision", "count"), [("abcdef0", 2), ("0123456", 0)])
def test_what_is_not_one_commit_is_refused(hub, revision, count):
    with pytest.raises(ValueError, match=f"{count} commits"):
        whole_commit("someone/net", revision)


@pytest.mark.parametrize("revision", [None, "main", "v1.0", "abcdef", "g123456"])
def test_branches_and_tags_are_no_commits(revision):
    assert not is_commit(revision)


def test_the_whole_commit_is_what_is_fetched(hub, tmp_path, monkeypatch):
    import huggingface_hub

    def fetched(repository, file, revision, local_dir):
        local_dir.mkdir(parents=True)
        (local_dir / file).write_text(f"{repository} {revision}")
        return local_dir / file

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetched)
    weights = WeightsConfig(huggingface="someone/net", revision="1f5a640", file="net.bin")
    path = weight_sources.fetch(weights, tmp_path, "e.yaml")
    assert path.read_text() == f"someone/net {COMMITS[0]}"


def test_a_hub_that_is_not_reached_is_one_line(hub, tmp_path):
    weights = WeightsConfig(huggingface="someone/else", revision="1f5a640", file="net.bin")
    with pytest.raises(UserError, match=r"someone/else cannot be fetched .*to complete the commit 1f5a640") as caught:
        weight_sources.fetch(weights, tmp_path, "e.yaml")
    assert "\n" not in str(caught.value)


def test_a_branch_is_refused(tmp_path):
    weights = WeightsConfig(huggingface="someone/net", revision="main", file="net.bin")
    with pytest.raises(UserError, match="branches and tags move"):
        weight_sources.fetch(weights, tmp_path, "e.yaml")
