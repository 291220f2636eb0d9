"""Preparing the next piece of work while the last one is still being done."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar

T = TypeVar("T")

_END: Final = object()


def one_ahead(items: Iterable[T]) -> Iterator[T]:
    """Give the same items, each of them made in another thread while its predecessor is in use.

    Raises:
        Exception: What making an item raised, when its turn has come.
    """
    source = iter(items)
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as thread:
        coming = thread.submit(next, source, _END)
        while (item := coming.result()) is not _END:
            coming = thread.submit(next, source, _END)
            yield item  # type: ignore[misc] # anything but the end is an item
