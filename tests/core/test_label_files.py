"""Label files in all their public forms; what may be read in two ways is refused."""

import pytest

from kinetics_i3d.core.errors import DatasetError
from kinetics_i3d.core.label_files import read_label_ids, read_labels, write_labels
from kinetics_i3d.core.labels import label_list

WANTED = ("air drumming", "sit, down")


@pytest.fixture
def write(tmp_path):
    def write(text, name="labels.txt"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@pytest.mark.parametrize(
    "text",
    [
        "air drumming\nsit, down\n",
        "air drumming\r\nsit, down\r\n\r\n\r\n",
        b"\xef\xbb\xbfair drumming\rsit, down\r",
        '"air drumming"\n"sit, down"\n',
        "label\nair drumming\nsit, down\n",
        "# the classes\nair drumming\nsit, down\n",
        "- air drumming\n- sit, down\n",
        # Ids before the name, from 0 or from 1, in any order.
        "0 air drumming\n1 sit, down\n",
        "1 air drumming\n2 sit, down\n",
        "1 sit, down\n0 air drumming\n",
        '0,air drumming\n1,"sit, down"\n',
        "0\tair drumming\n1\tsit, down\n",
        "names:\n  0: air drumming\n  1: 'sit, down'\n",
        "1. air drumming\n2. sit, down\n",
        "0|air drumming\n1|sit, down\n",
        "0 = air drumming\n1 = sit, down\n",
        # YAML, as YOLO has it.
        "path: data\ntrain: train\nnc: 2\nnames:\n  0: air drumming\n  1: sit, down\n",
        "nc: 2\nnames:\n- air drumming\n- sit, down\n",
        "names:\n  - air drumming\n  - 'sit, down'\nnc: 2\n",
        "nc: 2\nnames: ['air drumming', 'sit, down']\n",
        'names: ["air drumming", "sit, down"]\n',
        "c000 air drumming\nc001 sit, down\n",
        "A001 air drumming\nA002 sit, down\n",
        # Behind it.
        "air drumming 0\nsit, down 1\n",
        "air drumming,0\nsit, down,1\n",
        "air drumming\t0\nsit, down\t1\n",
        # Tables with a header.
        'id,name\n0,air drumming\n1,"sit, down"\n',
        "id,name\n0,air drumming\n1,sit, down\n",
        'name,id\nair drumming,0\n"sit, down",1\n',
        "id;name\r\n0;air drumming\r\n1;sit, down\r\n",
        "Class ID\tClass Name\n0\tair drumming\n1\tsit, down\n",
        'class,label\nair drumming,0\n"sit, down",1\n',
        ',name\n0,air drumming\n1,"sit, down"\n',
        'id,name,parent\n0,air drumming,music\n1,"sit, down",\n',
        "id name\n0 air drumming\n1 sit, down\n",
        # JSON.
        '["air drumming", "sit, down"]',
        '{"0": "air drumming", "1": "sit, down"}',
        '{"air drumming": 0, "sit, down": 1}',
        '{"sit, down": "1", "air drumming": "0"}',
        '{"\\"air drumming\\"": 0, "\\"sit, down\\"": 1}',
        '{"model": "x", "id2label": {"0": "air drumming", "1": "sit, down"}}',
        '[{"id": 1, "name": "sit, down"}, {"id": 0, "name": "air drumming"}]',
        # Protobuf text.
        "item {\n  name: \"air drumming\"\n  id: 1\n}\nitem {\n  id: 2 name: 'sit, down'\n}\n",
    ],
)
def test_every_form_of_a_label_map_gives_the_same_labels(write, text):
    assert read_labels(write(text)) == WANTED


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "must have one label per line, but is empty"),
        (" \n\n", "must have one label per line, but is empty"),
        ("id,name\n", "has only the header"),
        ("label\n", "has only the header 'label'"),
        ("classes:\n\n", "has only the header 'classes:'"),
        ("id name\n", "has only the header 'id name'"),
        ("sit\nrun\nsit\n", "line 3: 'sit' is already in line 1"),
        ("0 sit\n1 sit\n", "line 2: 'sit' is already in line 1"),
        ("0 sit\n0 run\n", "line 2: id 0 of 'run' is already used by 'sit'"),
        ("0 sit\n2 run\n", "line 2: ids must be 0 to 1 without gaps.*id 2 of 'run'"),
        ("5 sit\n6 run\n", "line 1: ids must be 1 to 2 without gaps.*id 5 of 'sit'"),
        ("0 sit\n1 run\nfly\n", "line 3: must have an id, as most lines do. Received: 'fly'"),
        ("sit\n\nrun\n", "line 2: a blank line among labels"),
        ("0 1\n1 0\n", "line 1: it is not clear which number in '0 1' is the id"),
        ("sit,body\nrun,legs\n", "line 1: 'sit,body' may be one label or several columns"),
        ("id,name\n0,sit\n,run\n", "line 3: the id must be a whole number. Received: ''"),
        ("id,name\n0,sit\n1,\n", "line 3: a label is empty"),
        ("id,name,parent\n0,sit,a,b\n", "line 2: must have 3 cells like the header, but has 4"),
        ("{0: 'sit',\n 1: 'run'}", "line 1: looks like JSON but is not"),
        ('["sit",\n"run"', "line 2: looks like JSON but is not"),
        ('["sit", "sit"]', "line 1: 'sit' is already in line 1"),
        ('["sit", {"id": 1, "name": "run"}]', "some labels have an id and others have none"),
        ('["sit", 1]', "a JSON list must hold labels"),
        ('{"sit": 0,\n"sit": 1}', "line 1: 'sit' occurs twice"),
        ('{"sit": 0,\n"run": 2}', "line 2: ids must be 0 to 1 without gaps"),
        ('{"0": "1", "1": "0"}', "both sides of the map are numbers"),
        ('{"sit": 0,\n"run": [1]}', "line 2: a JSON map must be from ids"),
        ('{"sit": true}', "a JSON map must be from ids"),
        ('{"0": "sit", "run": 1}', "not both"),
        ("{}", "is empty"),
        ('item {\n name: "sit"\n}\n', "line 1: must have an id and a name"),
        ("sit\nl\xe4ufe\n".encode("latin-1"), "must be UTF-8 text"),
    ],
)
def test_ambiguous_and_damaged_label_files_are_refused(write, text, why):
    path = write(text)
    with pytest.raises(DatasetError, match=rf"(?s)^{path}.*{why}"):
        read_labels(path)
    with pytest.raises(DatasetError, match=r"none.txt: cannot be read"):
        read_labels(path.with_name("none.txt"))


@pytest.mark.parametrize(
    "labels",
    [
        ("walk 1", "walk 2", "run 1"),
        ("0", "1", "2"),
        ("pirouette 360", "sit", "stand"),
        ("n01440764 tench", "n01443537 goldfish"),
        ("sit, down", "stand, up"),
        label_list("kinetics400"),
        label_list("kinetics600"),
    ],
)
def test_plain_labels_with_numbers_are_labels(write, labels):
    assert read_labels(write("\n".join(labels))) == labels


@pytest.mark.parametrize(
    "labels",
    [
        ("sit", "run"),
        ("sit 0", "run 1"),
        ("0 sit", "1 run"),
        ("100 m", "200 m"),
        ("a,b", "c,d"),
        ('"sit"', "run"),
        ("label", "sit"),
        ("- a", "- b"),
        ('{"a"', "b"),
    ],
)
def test_labels_are_read_as_they_were_written(tmp_path, labels):
    path = tmp_path / "labels.txt"
    write_labels(path, labels)
    assert read_labels(path) == labels
    with pytest.raises(DatasetError, match="cannot be a label file of"):
        write_labels(path, ("sit", "sit"))
    with pytest.raises(DatasetError, match="' stand' begins or ends with a space"):
        write_labels(path, ("sit", " stand"))
    assert read_labels(path) == labels


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("no action\nrun\nwalk\n", ("no action", "run", "walk")),
        ("0 no action\n1 run\n2 walk\n", ("no action", "run", "walk")),
        ("write name tag\nrun\n", ("write name tag", "run")),
        ("id name\n0 run\n1 walk\n", ("run", "walk")),
        ("no action 0\nrun 1\nwalk 2\n", ("no action", "run", "walk")),
        ("id label\n0: run\n1: walk\n", ("run", "walk")),
        ("id label\nn0 run\nn1 walk\n", ("run", "walk")),
        ("- run  # the first\n- walk\n", ("run", "walk")),
        ("- 'a # b'\n- 'c'  # d\n", ("a # b", "c")),
        ('- "tennis #1" # e\n- "tennis #2"\n', ("tennis #1", "tennis #2")),
    ],
)
def test_a_class_with_words_of_a_header_is_a_class(write, text, labels):
    assert read_labels(write(text)) == labels


def test_a_class_before_ids_with_letters_is_not_lost(write):
    with pytest.raises(DatasetError, match="line 1: must have an id"):
        read_labels(write("no action\nA1 drink water\nA2 eat meal\n"))


def test_a_name_with_a_backslash_is_refused(write):
    text = 'item { id: 1 name: "he said \\"hi\\"" }\n'
    with pytest.raises(DatasetError, match="line 1: a name with a backslash is not supported"):
        read_labels(write(text, "labels.pbtxt"))


def test_ids_are_those_of_the_file(write):
    assert read_label_ids(write("1 sit\n2 run\n")) == {1: "sit", 2: "run"}
    assert read_label_ids(write("sit\nrun\n")) == {0: "sit", 1: "run"}


def test_label_files_of_the_shared_cases(shared):
    cases = shared / "cases"
    assert read_labels(cases / "labels_header/labels.txt") == ("abseiling", "air drumming")
    assert read_labels(cases / "slowfast_classids/classids.json") == ("ClassA", "ClassB")
    assert read_labels(shared / "reference/label_map.txt") == label_list("kinetics400")
    index = read_labels(shared / "reference/splits/ucf101/classInd.txt")
    assert len(index) == 101 and index[0] == "ApplyEyeMakeup"
