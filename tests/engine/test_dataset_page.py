from benchmark.config.catalogue import Catalogue
from benchmark.config.load import parse
from benchmark.config.schema_dataset import DatasetConfig
from benchmark.engine.dataset_page import dataset_page, dataset_size, human_size
from benchmark.engine.listing import list_catalogue
from tests.engine.project import ROOT


def test_the_page_in_the_documents_is_up_to_date():
    written = (ROOT / "docs" / "datasets.md").read_text("utf-8")
    assert written == dataset_page(ROOT), "run `leveret list datasets --markdown > docs/datasets.md`"


def test_the_page_says_how_to_get_what_does_not_come_by_itself():
    page = dataset_page(ROOT)
    for config in Catalogue.read(ROOT).datasets.values():
        for source in config.sources or []:
            if source.manual:
                assert f"data/manual/{config.name}/{source.file}" in page


def test_sizes_are_added_up_where_they_are_all_known():
    def size(*sources, **keys):
        items = [{"glob": "*.wav"}]
        data = {"name": "x", "sources": list(sources), "items": items, **keys}
        return dataset_size(parse(data, DatasetConfig, "x.yaml"))

    one, unknown = {"http": "http://a/1.zip", "bytes": 10}, {"http": "http://a/2.zip"}
    parts = {"parts": [{"http": "http://a/3.z01", "bytes": 5}, {"http": "http://a/3.zip", "bytes": 6}], "file": "3.zip"}
    assert size(one, parts) == 21
    assert size(one, unknown) is None
    assert size(one, unknown, size={"bytes": 7}) == 7
    assert [human_size(n) for n in (None, 1500, 2_428_923_189, 10**12)] == ["", "1.5 kB", "2.43 GB", "1 TB"]


def test_the_list_is_as_long_as_it_is_said_to_be():
    listing = list_catalogue(ROOT)
    assert len(listing["datasets"]) >= 35
    assert len(listing["tasks"]) >= 45
    row = next(row for row in listing["datasets"] if row["name"] == "esc-50")
    assert (row["access"], row["size"], row["verified"]) == ("open", "600 MB", False)
    assert "hares-esc50" in row["tasks"]
