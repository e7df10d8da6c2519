"""`Dataset`: the interface of all datasets."""

import typing


class Dataset:
    """The result of `open_dataset`: labeled videos, or records prepared from them.

    Subclasses have a `name`; `labels`, class names in the order of a model's outputs; `videos`,
    which raises `DatasetError` for records; `missing`, the videos that do not exist; and a length,
    the number of examples.

    Example:

    >>> dataset = ki3d.open_dataset(folder)
    >>> isinstance(dataset, ki3d.Dataset), dataset.splits, dataset.split("test").split_sizes()
    (True, ('test', 'train'), Counter({'test': 1}))
    """

    @property
    def multi_label(self):
        """Whether an example may have several classes, or none."""
        return False

    @property
    def is_undivided(self):
        """Whether no list and no folder assigns the examples to splits."""
        return False

    @property
    def lists_videos(self):
        """Whether `videos` exist; records hold frames instead."""
        return False

    @property
    def clip_spec(self):
        """The `ClipSpec` with which the stored frames were sampled; None for videos."""
        return None

    @property
    def splits(self):
        """The names of the splits, sorted."""
        return tuple(sorted(self.split_sizes()))

    if typing.TYPE_CHECKING:  # fields or properties of the subclasses

        @property
        def name(self) -> str: ...
        @property
        def labels(self) -> tuple[str, ...]: ...
        @property
        def videos(self) -> tuple: ...
        @property
        def missing(self) -> tuple: ...
        def __len__(self) -> int: ...

    def split_sizes(self):
        """{name of a split: number of its examples}."""
        raise NotImplementedError

    def shared_sources(self):
        """(label, source) pairs with examples in several splits; none if sources are unknown."""
        return ()

    def split(self, name):
        """The dataset of one split; `DatasetError` if it is missing or empty."""
        raise NotImplementedError

    def hold_out(self, fraction, *, seed=0):
        """Two datasets: the examples to keep, and those to hold out."""
        raise NotImplementedError

    def for_process(self, index, count):
        """The examples of one of `count` processes, or all if they cannot be divided."""
        raise NotImplementedError

    def class_counts(self):
        """{label: number of examples that have it}."""
        raise NotImplementedError

    def random_clips(self, **options):
        """A `tf.data.Dataset` of endless random clips; options as for `video_clips`."""
        raise NotImplementedError

    def identity(self, specs):
        """Yields values that change whenever the clips of these `StreamSpecs` may change."""
        raise NotImplementedError
