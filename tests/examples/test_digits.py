"""Pictures of digits: the files of MNIST, whole and damaged, and the digits that need none."""

import gzip
import math
import re
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

SIZES = {"train": 150, "t10k": 100}
NAMES = {"images": "images-idx3-ubyte", "labels": "labels-idx1-ubyte"}


@pytest.fixture
def digits(example):
    return example("digits")


def idx(array, magic=None):
    """The bytes of an IDX file."""
    numbers = [magic or 2048 + array.ndim, *array.shape]
    return b"".join(n.to_bytes(4, "big") for n in numbers) + array.astype(np.uint8).tobytes()


def drawn(n, rows=3, columns=2, seed=0):
    """Pixels and labels of n pictures."""
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (n, rows, columns)), np.arange(n) % 10


def write_mnist(folder, *parts, packed=(), **size):
    """Write images and labels of "train" or "t10k", and return what was written."""
    written = {}
    for part in parts:
        written[part] = drawn(SIZES[part], seed=SIZES[part], **size)
        for kind, array in zip(NAMES, written[part], strict=True):
            name = f"{part}-{NAMES[kind]}"
            content = idx(array)
            if name in packed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
    return written


def refused(digits, call, *says):
    """Fail unless `call` raises a ValueError of one line that says all of this."""
    with pytest.raises(ValueError) as raised:  # noqa: PT011, what it says is looked at here
        call()
    message = str(raised.value)
    assert "\n" not in message
    for part in says:
        assert str(part) in message
    return message


@settings(deadline=None, derandomize=True, max_examples=40)
@given(
    shape=st.lists(st.integers(0, 5), min_size=1, max_size=1)
    | st.lists(st.integers(0, 5), min_size=3, max_size=3),
    packed=st.booleans(),
    seed=st.integers(0, 99),
)
def test_what_is_in_an_idx_file_is_read(shape, packed, seed, tmp_path_factory, request):
    read_idx = request.getfixturevalue("example")("digits").read_idx
    array = np.random.default_rng(seed).integers(0, 256, shape)
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(idx(array)) if packed else idx(array))
    got = read_idx(path, 2048 + array.ndim)
    assert got.shape == array.shape
    assert got.dtype == np.uint8
    assert np.array_equal(got, array)


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_file_cut_anywhere_is_refused(packed, digits, tmp_path):
    content = idx(drawn(4)[0])
    content = gzip.compress(content) if packed else content
    path = tmp_path / "cut"
    for length in range(len(content)):
        path.write_bytes(content[:length])
        refused(digits, lambda: digits.read_idx(path, 2051), path, "want")


def test_no_damaged_byte_of_a_packed_file_changes_a_pixel(digits, tmp_path):
    array = drawn(4)[0]
    content = gzip.compress(idx(array))
    path = tmp_path / "damaged.gz"
    caught = 0
    for place in range(len(content)):
        for bit in range(8):
            damaged = bytearray(content)
            damaged[place] ^= 1 << bit
            path.write_bytes(damaged)
            try:  # some bits, such as the time of packing, mean nothing
                got = digits.read_idx(path, 2051)
            except ValueError:
                caught += 1
            else:
                assert np.array_equal(got, array)
    assert caught > 6 * len(content)


@pytest.mark.parametrize(
    ("content", "magic", "says"),
    [
        (
            idx(np.zeros(5)),
            2051,
            "magic number 2049, which is that of labels; want 2051, for images",
        ),
        (idx(np.zeros((5, 2, 2))), 2049, "2051, which is that of images; want 2049, for labels"),
        (idx(np.zeros(5), magic=7), 2049, "has 13 bytes and magic number 7; want 2049"),
        (b"", 2049, "has 0 bytes and no magic number; want 2049, for labels, and 8 bytes or more"),
        (idx(np.zeros((5, 2, 2)))[:10], 2051, "has 10 bytes and magic number 2051; want 2051"),
        (idx(np.zeros(5))[:-1], 2049, "is cut short: has 12 bytes; want 13, for 5 bytes"),
        (idx(np.zeros(5)) + b"!", 2049, "goes on behind its end: has 14 bytes; want 13"),
        (b"\0\0\x08\x03" + 12 * b"\xff", 2051, "want 79228162458924105385300197391"),
        (b"\x1f\x8b\x08nonsense", 2049, "want a whole gzip file"),
        (gzip.compress(idx(np.zeros(5)), mtime=0) + b"!", 2049, "want a whole gzip file"),
    ],
)
def test_message_says_what_is_wrong_with_a_file(content, magic, says, digits, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(content)
    refused(digits, lambda: digits.read_idx(path, magic), f"{path}: ", says)


@pytest.mark.parametrize(
    ("images", "labels", "says"),
    [
        (drawn(100)[0], np.zeros(99), "has 99 labels; want 100, as many as there are images"),
        (drawn(100)[0], np.arange(100) % 11, "label 10 is 10; want digits, 0 to 9"),
        (drawn(99)[0], np.zeros(99), "has 99 images of 3 × 2 pixels; want 100 or more"),
        (
            np.zeros((100, 3, 0)),
            np.zeros(100),
            "100 images of 3 × 0 pixels; want 100 or more, none",
        ),
    ],
)
def test_images_and_labels_must_belong_together(images, labels, says, digits, tmp_path):
    paths = tmp_path / "images", tmp_path / "labels"
    for path, array in zip(paths, (images, labels), strict=True):
        path.write_bytes(idx(array))
    refused(digits, lambda: digits.read_digits(*paths), says)


def test_all_four_files_are_the_standard_split(digits, tmp_path):
    packed = ("train-images-idx3-ubyte", "t10k-labels-idx1-ubyte")
    written = write_mnist(tmp_path, "train", "t10k", packed=packed)
    train, test, source = digits.from_folder(tmp_path)
    assert source == f"{tmp_path}, the standard test part"
    for got, (pixels, labels) in ((train, written["train"]), (test, written["t10k"])):
        assert got.images.dtype == np.float32
        assert np.array_equal(np.rint(got.images * 255), pixels)
        assert got.images.max() == 1
        assert np.array_equal(got.labels, labels)


def test_without_the_training_files_the_last_fifth_is_for_test(digits, tmp_path):
    pixels, labels = write_mnist(tmp_path, "t10k")["t10k"]
    train, test, source = digits.from_folder(tmp_path)
    assert source == f"the t10k files of {tmp_path}, the last fifth for test"
    assert (len(train.labels), len(test.labels)) == (80, 20)
    images = np.concatenate((train.images, test.images))
    assert np.array_equal(np.rint(images * 255), pixels)
    assert np.array_equal(np.concatenate((train.labels, test.labels)), labels)


@pytest.mark.parametrize(
    ("form", "folder"),
    [
        ("{part}-{what}.idx{n}-ubyte", "."),  # as some copies spell it
        ("{part}-{what}-idx{n}.ubyte.gz", "raw"),
        ("{part}-{what}-idx{n}-ubyte", "MNIST/raw"),  # as torchvision keeps it
        ("emnist-digits-{part}-{what}-idx{n}-ubyte", "."),
        ("emnist-mnist-{part}-{what}-idx{n}-ubyte.gz", "gzip"),
    ],
)
def test_names_as_others_spell_them(form, folder, digits, tmp_path):
    emnist = form.startswith("emnist")
    (tmp_path / folder).mkdir(exist_ok=True, parents=True)
    pixels, labels = drawn(100)
    for part in ("train", "test" if emnist else "t10k"):
        for what, array, n in (("images", pixels, 3), ("labels", labels, 1)):
            path = tmp_path / folder / form.format(part=part, what=what, n=n)
            path.write_bytes(gzip.compress(idx(array)) if path.suffix == ".gz" else idx(array))
    split = digits.from_folder(tmp_path)
    upright = pixels.transpose(0, 2, 1) if emnist else pixels  # EMNIST has rows for columns
    for part in split[:2]:
        assert np.array_equal(np.rint(part.images * 255), upright)
        assert np.array_equal(part.labels, labels)
    assert ("EMNIST" in split.source) == emnist
    write_mnist(tmp_path, "t10k")  # that of MNIST comes first
    assert "EMNIST" not in digits.from_folder(tmp_path).source


def test_folder_with_other_files_says_which(digits, tmp_path):
    (tmp_path / "mnist_test.csv").touch()
    refused(digits, lambda: digits.from_folder(tmp_path), "no file of MNIST (but mnist_test.csv)")
    (tmp_path / "emnist-letters-test-labels-idx1-ubyte").touch()
    refused(
        digits, lambda: digits.from_folder(tmp_path), "has emnist-letters-test-labels-idx1-ubyte;"
    )


@pytest.mark.parametrize("missing", ["train-labels", "t10k-images", "both t10k", "all", "folder"])
def test_folder_without_a_whole_set_is_refused_with_what_it_has(missing, digits, tmp_path):
    write_mnist(tmp_path, "train", "t10k")
    for path in tmp_path.iterdir():
        if missing in ("all", "folder") or path.name.startswith(missing.removeprefix("both ")):
            path.unlink()
    folder = tmp_path / "none" if missing == "folder" else tmp_path
    had = {"all": "has no file of MNIST;", "folder": "is no folder;"}
    left = ", ".join(sorted(name for name in digits.CHECKSUMS if (tmp_path / name).exists()))
    says = had.get(missing, f"has {left};")
    message = refused(digits, lambda: digits.from_folder(folder), f"{folder}: {says}")
    for name in digits.CHECKSUMS:
        assert name in message.partition(";")[2]


def test_both_parts_must_have_pictures_of_one_size(digits, tmp_path):
    write_mnist(tmp_path, "train")
    write_mnist(tmp_path, "t10k", columns=4)
    says = "t10k-images-idx3-ubyte: has images of 3 × 4 pixels; want 3 × 2 pixels, as in"
    refused(digits, lambda: digits.from_folder(tmp_path), says, "train-images-idx3-ubyte")


def test_small_digits_are_those_of_scikit_learn(digits):
    from sklearn.datasets import load_digits

    train, test, source = digits.small()
    assert (len(train.labels), len(test.labels)) == (1437, 360)
    assert source == "the small digits of scikit-learn, the last fifth for test"
    images = np.concatenate((train.images, test.images))
    assert np.array_equal(images * 16, load_digits().images)
    assert np.array_equal(np.concatenate((train.labels, test.labels)), load_digits().target)


def options_of(digits, *arguments):
    """What the command line says, and the digits that it names."""
    import command_line

    parser = command_line.new_parser("Test.", quick="less of it")
    digits.add_options(parser)
    options = parser.parse_args(list(map(str, arguments)))
    return digits.load(parser, options)


def test_settings_are_chosen_without_the_test_part(digits):
    train, test, _ = options_of(digits)
    less, valid, source = options_of(digits, "--valid")
    assert (len(less.labels), len(valid.labels)) == (1257, 180)
    assert np.array_equal(np.concatenate((less.images, valid.images)), train.images)
    assert source == (
        "the small digits of scikit-learn, the last fifth for test, which is not used; "
        "judged by the last eighth of the training part"
    )
    alike = (valid.images[:, None] == test.images).all(axis=(2, 3))
    assert not alike.any()


def test_mnist_is_downloaded_as_four_files_with_checksums(digits, tmp_path, monkeypatch):
    written = write_mnist(tmp_path, "train", "t10k")
    asked = []

    def find(file):
        asked.append(file)
        return tmp_path / file.name.removesuffix(".gz")

    monkeypatch.setattr(digits, "find", find)
    train, _, source = options_of(digits, "--mnist")
    assert np.array_equal(train.labels, written["train"][1])
    assert source == "MNIST, the standard test part"
    assert [file.name.removesuffix(".gz") for file in asked] == list(digits.CHECKSUMS)
    for file in asked:
        assert file.url == f"https://ossci-datasets.s3.amazonaws.com/mnist/{file.name}"
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
    assert len({file.sha256 for file in asked}) == 4


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--data", "nowhere"], "argument --data: nowhere: is no folder; want t10k-images-idx3"),
        (
            ["--mnist"],
            "argument --mnist: train-images-idx3-ubyte.gz cannot be downloaded (no network)",
        ),
        (["--epochs", "0"], "argument --epochs: got 0, want 1 or more"),
        (["--hidden", "-2"], "argument --hidden: got -2, want 1 or more"),
        (["--data", "nowhere", "--mnist"], "argument --mnist: not allowed with argument --data"),
        (
            ["--quick", "--data", "nowhere"],
            "argument --quick: has pictures of its own, want no --data or --mnist with it",
        ),
        (["--mnist", "--quick"], "argument --quick: has pictures of its own, want no --data or"),
        (
            [],
            "argument --data: got none, and the small digits are in scikit-learn, which is missing",
        ),
    ],
)
@pytest.mark.parametrize("name", ["mnist_rows", "image_to_words"])
def test_mistakes_end_in_one_line(name, arguments, says, example, monkeypatch, tmp_path, capsys):
    import pooch

    def retrieve(*_, **__):
        raise OSError("no network")

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    with pytest.raises(SystemExit) as ended:
        example(name).main()
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


@pytest.mark.parametrize(
    ("arguments", "epochs"),
    [
        ([], {"mnist_rows": None, "image_to_words": 20}),  # None: it depends on the pictures
        (["--quick"], {"mnist_rows": 20, "image_to_words": 15}),
        (["--quick", "--epochs", "3"], {"mnist_rows": 3, "image_to_words": 3}),
    ],
)
@pytest.mark.parametrize("name", ["mnist_rows", "image_to_words"])
def test_what_the_user_says_wins_over_quick(
    name, arguments, epochs, example, monkeypatch, tmp_path
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    options, _ = example(name).parse_arguments()
    assert options.epochs == epochs[name]


@pytest.mark.parametrize("name", ["mnist_rows", "image_to_words"])
def test_files_of_mnist_are_trained_on_without_matplotlib(
    name, example, monkeypatch, tmp_path, capsys
):
    example("digits")
    write_mnist(tmp_path, "t10k", rows=28, columns=28)
    arguments = [
        "--data",
        tmp_path,
        "--out",
        tmp_path,
        "--epochs",
        1,
        "--hidden",
        2,
        "--cell",
        "RNN",
    ]
    monkeypatch.setattr(sys, "argv", [name, *map(str, arguments)])
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    example(name).main()
    out, err = capsys.readouterr()
    first = "pictures of 28 × 28 pixels, 80 to train on and 20 to judge by: the t10k files of"
    assert out.startswith(f"{first} {tmp_path}, the last fifth for test\n")
    assert "of 20 (95 % interval" in out
    assert out.endswith("no picture, because matplotlib is missing: pip install matplotlib\n")
    assert err == ""


def test_most_similar_picture_is_that_of_the_least_distance(digits, rng):
    images = rng.random((250, 4, 3))
    train = digits.Digits(images[:130], rng.integers(0, 10, 130))
    nearest = [((train.images - image) ** 2).sum(axis=(1, 2)).argmin() for image in images[130:]]
    assert np.array_equal(digits.most_similar(train, images[130:]), train.labels[nearest])


@pytest.mark.parametrize("right", [0, 1, 37, 99, 100])
def test_bounds_of_the_interval_are_where_the_share_is_196_deviations_away(right, example):
    n, half = 100, 0.0005  # of the last digit that is printed
    said = example("confidence").in_words(right, n)
    share, low, high = (float(x) / 100 for x in re.findall(r"([\d.]+)%", said))
    assert share == right / n
    for bound in {low, high} - {0.0, 1.0}:
        near, far = sorted((bound - half, bound + half), key=lambda p: abs(share - p))
        away = [abs(share - p) / math.sqrt(p * (1 - p) / n) for p in (near, far)]
        assert away[0] < 1.96 < away[1]
