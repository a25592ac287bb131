"""The counter-based generator: published vectors, a twin in plain integers, independence, and moments."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from floss import random
from floss.random import SEED_LIMIT, Stream, bits, normal, philox4x32, uniform, words

MASK = 2**32 - 1
SIGMAS = 5.0
"""Tolerance of moments in standard errors: by chance once in two million."""
PUBLISHED = {  # Random123, kat_vectors, philox4x32 with 10 rounds: counter, key, result
    "zeros": ((0, 0, 0, 0), (0, 0), (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    "ones": ((MASK,) * 4, (MASK, MASK), (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    "pi": (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        (0xA4093822, 0x299F31D0),
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
}
DRAWS = {"words": words, "uniform": uniform, "bits": bits, "normal": normal}

word = st.integers(0, MASK)
seed = st.integers(0, SEED_LIMIT - 1)
counts = st.integers(1, 70)


FAST = {"numpy": philox4x32, "torch": random._in_torch}
"""The generator on a CPU, and on any other device."""


def fast_philox(way: str, counter: tuple[int, int, int, int], key: tuple[int, int]) -> tuple[int, ...]:
    c0, c1, c2, c3, k0, k1 = (torch.tensor([v], dtype=torch.int64) for v in (*counter, *key))
    return tuple(int(w) for w in FAST[way]((c0, c1, c2, c3), (k0, k1)))


def philox(counter, key):
    """Philox4x32-10 in Python integers, straight from Salmon et al. 2011."""
    (c0, c1, c2, c3), (k0, k1) = counter, key
    for _ in range(10):
        high0, low0 = divmod(c0 * 0xD2511F53, 2**32)
        high1, low1 = divmod(c2 * 0xCD9E8D57, 2**32)
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + 0x9E3779B9) % 2**32, (k1 + 0xBB67AE85) % 2**32
    return c0, c1, c2, c3


def integer_words(seed, stream, count, epoch, part):
    key = (seed % 2**32, seed // 2**32)
    return [philox((i // 4, epoch, stream, part), key)[i % 4] for i in range(count)]


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_vectors(name):
    counter, key, result = PUBLISHED[name]
    assert {fast_philox(way, counter, key) for way in FAST} == {philox(counter, key)} == {result}


@settings(deadline=None, derandomize=True)
@given(st.tuples(word, word, word, word), st.tuples(word, word))
def test_equals_integer_twin(counter, key):
    assert {fast_philox(way, counter, key) for way in FAST} == {philox(counter, key)}


@pytest.mark.parametrize("shapes", [((3,), (), (5, 1), (5, 1)), ((1,), (2, 1, 1), (4, 1), ()), ((), (), (), ())])
def test_shapes_are_broadcast(shapes):
    """Of the block, of the epoch, and of both halves of the seed: each word is that of its own counter and key."""
    made = [torch.randint(MASK, shape, generator=torch.Generator().manual_seed(i)) for i, shape in enumerate(shapes)]
    block, epoch, low, high = made
    stream = torch.tensor(3)
    drawn = [way((block, epoch, stream, stream), (low, high)) for way in FAST.values()]
    for numpys, torchs in zip(*drawn, strict=True):
        assert torch.equal(*torch.broadcast_tensors(numpys, torchs))
    each = torch.stack(torch.broadcast_tensors(*made)).reshape(4, -1).T.tolist()
    wanted = [philox((block, epoch, 3, 3), (low, high)) for block, epoch, low, high in each]
    assert torch.stack(torch.broadcast_tensors(*drawn[0])).reshape(4, -1).T.tolist() == [list(one) for one in wanted]


@pytest.mark.parametrize("transform", [torch.func.vmap, torch.func.grad])
def test_numbers_are_the_same_within_a_transform(transform):
    seeds = torch.tensor([5, 2**40 + 1])

    def draw(x: torch.Tensor) -> torch.Tensor:
        return (normal(seeds, Stream.WEIGHTS, 7, dtype=torch.float64) * x).sum()

    one = torch.tensor(1.0, dtype=torch.float64)
    inside = transform(draw)(one.expand(1) if transform is torch.func.vmap else one)
    assert inside.item() == pytest.approx(draw(one).item(), rel=1e-14)


@settings(deadline=None, derandomize=True)
@given(seed, st.sampled_from(Stream), counts, word, word)
def test_words_equal_integer_twin(seed, stream, count, epoch, part):
    """Also pins the layout: what lies in which counter and key word, and seeds of up to 63 bits."""
    drawn = words(torch.tensor([seed]), stream, count, epoch=epoch, part=part)
    assert drawn[0].tolist() == integer_words(seed, stream, count, epoch, part)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(st.sampled_from(sorted(DRAWS)), st.lists(seed, min_size=2, max_size=5), counts, counts, word)
def test_numbers_depend_on_the_own_seed_alone(kind, seeds, count, more, epoch):
    draw, stream = DRAWS[kind], Stream.TRAINING
    together = draw(torch.tensor(seeds), stream, count + more, epoch=epoch)
    for own, row in zip(seeds, together, strict=True):
        alone = draw(torch.tensor([own]), stream, count, epoch=epoch)
        assert torch.equal(alone[0], row[:count]), "neighbours or the count matter"


@pytest.mark.parametrize("kind", DRAWS)
def test_epoch_of_each_network(kind):
    seeds, epochs = torch.tensor([3, 3, 8]), torch.tensor([0, 7, 7])
    together = DRAWS[kind](seeds, Stream.FLOSSING, 40, epoch=epochs)
    for row, own, epoch in zip(together, seeds, epochs.tolist(), strict=True):
        assert torch.equal(row, DRAWS[kind](own[None], Stream.FLOSSING, 40, epoch=epoch)[0])


@pytest.mark.parametrize("kind", DRAWS)
def test_seed_stream_epoch_and_part_all_matter(kind):
    def draw(seed=5, stream=Stream.WEIGHTS, epoch=0, part=0):
        return DRAWS[kind](torch.tensor([seed]), stream, 64, epoch=epoch, part=part)

    others = [draw(stream=s) for s in Stream if s != Stream.WEIGHTS]
    others += [draw(seed=6), draw(seed=5 + 2**32), draw(seed=5 + 2**62), draw(epoch=1), draw(part=1)]
    different = [draw(), *others]
    for i, a in enumerate(different):
        assert not any(torch.equal(a, b) for b in different[:i])


def test_uniform_is_the_upper_24_bits():
    seeds = torch.arange(4)
    single, double = (uniform(seeds, Stream.TRAINING, 1001, dtype=t) for t in (torch.float32, torch.float64))
    assert torch.equal(single.double(), double)
    upper = words(seeds, Stream.TRAINING, 1001) // 2**8
    assert torch.equal(double * 2**24, upper.double())
    assert float(single.min()) >= 0.0
    assert float(single.max()) < 1.0


def test_largest_word_stays_below_one(monkeypatch):
    monkeypatch.setattr(random, "words", lambda *_, **__: torch.full((1, 3), MASK))
    assert float(uniform(torch.tensor([0]), Stream.TRAINING, 3).max()) == 1.0 - 2.0**-24


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed, st.integers(1, 140), word)
def test_bits_equal_slow_twin(seed, count, epoch):
    drawn = bits(torch.tensor([seed]), Stream.TRAINING, count, epoch=epoch)
    packed = integer_words(seed, Stream.TRAINING, (count + 31) // 32, epoch, 0)
    assert drawn[0].tolist() == [packed[i // 32] >> (i % 32) & 1 for i in range(count)]


@pytest.mark.parametrize(
    ("kind", "mean", "variance", "fourth"),
    [("uniform", 1 / 2, 1 / 12, 1 / 80), ("bits", 1 / 2, 1 / 4, 1 / 16), ("normal", 0.0, 1.0, 3.0)],
)
def test_moments(kind, mean, variance, fourth):
    sample = DRAWS[kind](torch.arange(8), Stream.EVALUATION, 50_000, dtype=torch.float64)
    deviation = sample.flatten() - mean
    count = deviation.numel()
    assert abs(float(deviation.mean())) < SIGMAS * (variance / count) ** 0.5
    # The variance of (x - mean)² is fourth - variance²; a bit's is zero, its square is exact.
    spread = SIGMAS * ((fourth - variance**2) / count) ** 0.5 + 1e-12
    assert abs(float(deviation.square().mean()) - variance) < spread
    neighbours = sample[:, 1:] - mean, sample[:, :-1] - mean
    assert abs(float((neighbours[0] * neighbours[1]).mean())) < SIGMAS * variance / count**0.5
    correlation = torch.corrcoef(sample) - torch.eye(8)
    assert float(correlation.abs().max()) < SIGMAS / 50_000**0.5


def test_normal_is_gaussian_in_its_tails():
    sample = normal(torch.arange(8), Stream.EVALUATION, 50_000, dtype=torch.float64).flatten()
    for threshold in (-3.0, -1.0, 0.5, 2.0):
        below = 0.5 * (1.0 + torch.erf(torch.tensor(threshold / 2**0.5, dtype=torch.float64)).item())
        error = (below * (1.0 - below) / sample.numel()) ** 0.5
        assert abs(float((sample < threshold).double().mean()) - below) < SIGMAS * error


def test_float32_normal_is_the_rounded_float64_one():
    single, double = (normal(torch.arange(3), Stream.WEIGHTS, 99, dtype=t) for t in (torch.float32, torch.float64))
    assert torch.equal(single, double.float())
