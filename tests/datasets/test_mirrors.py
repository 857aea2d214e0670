import pytest

from benchmark.datasets.mirrors import copy_of, with_mirrors

HERE = "https://zenodo.org/records/1/files/a%20b.zip?download=1"


@pytest.mark.parametrize(
    ("mirrors", "first"),
    [
        ({"zenodo.org": "http://m/zen/"}, "http://m/zen/records/1/files/a%20b.zip?download=1"),
        ({"*": "http://m"}, "http://m/zenodo.org/records/1/files/a%20b.zip?download=1"),
        ({"*": "http://m", "zenodo.org": "http://n"}, "http://n/records/1/files/a%20b.zip?download=1"),
    ],
)
def test_a_mirror_is_tried_before_the_address_itself(mirrors, first):
    assert with_mirrors(HERE, mirrors) == [first, HERE]


def test_other_hosts_stay_as_they_are():
    assert with_mirrors(HERE, {"example.org": "http://m"}) == [HERE]
    assert copy_of("zenodo.org", {"example.org": "http://m"}) is None
    assert copy_of("zenodo.org", {"zenodo.org": "http://m/zen"}) == "http://m/zen"
    assert copy_of("huggingface.co", {"*": "http://m"}) == "http://m/huggingface.co"
