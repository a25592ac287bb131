"""floss.Flosser: episodes of flossing in a training loop of one's own."""

import copy
import io

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import nn

import floss
from floss import random
from floss.random import Stream

S, N, K = 2, 6, 3


def lstm(seed: int = 0, **more) -> nn.LSTM:
    torch.manual_seed(seed)
    return nn.LSTM(S, N, dtype=DOUBLE, **more)


class Classifier(nn.Module):
    """Classes of sequences, by the last output of a recurrent layer."""

    def __init__(self, recurrent: nn.Module):
        super().__init__()
        self.recurrent, self.dropout, self.head = recurrent, nn.Dropout(0.5), nn.Linear(N, 3, dtype=DOUBLE)

    def forward(self, x):
        return self.head(self.dropout(self.recurrent(x)[0][-1]))


class Stepwise(nn.Module):
    """A cell in a loop over the steps of [T, B, S]."""

    def __init__(self):
        super().__init__()
        self.cell = nn.GRUCell(S, N, dtype=DOUBLE)

    def forward(self, x):
        h = x.new_zeros(x.shape[1], N)
        for u in x:
            h = self.cell(u, h)
        return h


def inputs(epoch: int) -> torch.Tensor:
    return gaussian(100 + epoch, 20, S)


def state_of(module: nn.Module) -> list[torch.Tensor]:
    return [p.detach().clone() for p in module.parameters()]


def assert_same(one: nn.Module, other: nn.Module) -> None:
    for p, q in zip(one.parameters(), other.parameters(), strict=True):
        assert torch.equal(p, q)


def by_hand(module: nn.Module, epochs: int, *, lr: float = 1e-3, target: float = 0.0, transient: int = 10):
    """The loop that one would write: another Adam, random states and tangent vectors of each epoch's own."""
    step, n = floss.step_from_module(module)
    adam, losses = torch.optim.Adam(module.parameters(), lr=lr), []
    seed = torch.tensor([0])
    for epoch in range(epochs):
        h0 = random.normal(seed, Stream.INITIAL_STATE, n, epoch=epoch, dtype=DOUBLE)[0]
        columns = random.normal(seed, Stream.TANGENT, K * n, epoch=epoch, dtype=DOUBLE)
        q0 = floss.qr(columns.reshape(K, n).mT)[0]
        lam = floss.lyapunov_spectrum(step, h0, inputs(epoch), q0=q0, transient=transient)
        loss = floss.flossing_loss(lam, target)
        adam.zero_grad()
        loss.backward()
        adam.step()
        losses.append(float(loss.detach()))
    return losses


def test_an_episode_is_the_loop_that_one_would_write():
    ours, twin = lstm(), lstm()
    flosser = floss.Flosser(ours, K, epochs=7, lr=1e-2, target=-0.1, inputs=inputs)
    episode = flosser.episode()
    assert episode.loss.tolist() == pytest.approx(by_hand(twin, 7, lr=1e-2, target=-0.1), rel=1e-12)
    for p, q in zip(ours.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)
    assert len(episode) == 7
    assert episode.exponents.shape == (7, K)
    assert not episode.reached
    assert flosser.epochs_spent == 7


def test_flossing_brings_exponents_to_the_target():
    module = lstm()
    episode = floss.Flosser(module, K, epochs=20, lr=5e-2, inputs=lambda: gaussian(3, 30, S)).episode()
    assert episode.loss[-1] < 0.2 * episode.loss[0]


def test_when_an_episode_is_due():
    flosser = floss.Flosser(lstm(), 1, at=[3, 4], every=5, epochs=1, inputs=inputs)
    assert [i for i in range(12) if flosser.maybe(i)] == [0, 3, 4, 5, 10]
    assert flosser.maybe(15) is not None
    assert flosser.maybe(15) is None  # of one number there is one episode
    one = floss.Flosser(lstm(), 1, at=2, epochs=1, inputs=inputs)
    assert [i for i in range(5) if one.maybe(i)] == [2]
    assert not [i for i in range(5) if floss.Flosser(lstm(), 1, epochs=1, inputs=inputs).maybe(i)]


@pytest.mark.parametrize("until", [0.02, lambda lam: bool(lam.abs().max() < 0.2)])
def test_a_criterion_ends_an_episode(until):
    flosser = floss.Flosser(lstm(), K, epochs=200, lr=2e-2, until=until, inputs=lambda: gaussian(3, 40, S))
    episode = flosser.episode()
    assert episode.reached
    assert 1 < len(episode) < 200
    reached = [
        loss < until if isinstance(until, float) else until(lam)
        for loss, lam in zip(episode.loss, episode.exponents, strict=True)
    ]
    assert reached == [False] * (len(episode) - 1) + [True]


def test_the_last_batch_and_the_modes_of_a_classifier():
    """Evaluation mode within, and the mode of each part after it; nothing of the user's is touched."""
    model = Classifier(lstm())
    model.head.eval()
    modes, before = [m.training for m in model.modules()], model.head.weight.clone()
    flosser = floss.Flosser(model, K, every=1, epochs=2)
    assert flosser.maybe(0) is None  # no batch has been seen
    x = gaussian(5, 25, 4, S)
    model(x).sum().backward()
    gradients = [p.grad.clone() for p in model.parameters() if p.grad is not None]
    random_numbers = torch.get_rng_state()
    seen = []
    model.recurrent.register_forward_pre_hook(lambda *_: seen.append(1))
    assert flosser.maybe(0) is not None  # that of step 0 is still due
    assert flosser.maybe(1) is not None
    assert [m.training for m in model.modules()] == modes
    assert torch.equal(model.head.weight, before)
    assert all(torch.equal(p.grad, g) for p, g in zip(model.parameters(), gradients, strict=True))  # pyright: ignore
    assert torch.equal(torch.get_rng_state(), random_numbers)
    with torch.no_grad():
        assert flosser.episode()


def test_the_last_batch_is_that_of_each_kind_of_module():
    x = gaussian(6, 12, 3, S)
    lengths = torch.tensor([12, 5, 9])
    packed = nn.utils.rnn.pack_padded_sequence(x, lengths, enforce_sorted=False)
    expected = [x[:n, i] for i, n in enumerate(lengths)]

    def seen(module, batch):
        flosser = floss.Flosser(module, 1, epochs=1)
        module(batch)
        return flosser._network.remembered(flosser._last_inputs)  # pyright: ignore

    for module, batch, wanted in [
        (lstm(), x, list(x.unbind(1))),
        (lstm(batch_first=True), x.transpose(0, 1), list(x.unbind(1))),
        (lstm(), x[:, 0], [x[:, 0]]),
        (lstm(), packed, expected),
        (Classifier(lstm()), x, list(x.unbind(1))),
        (Stepwise(), x, list(x.unbind(1))),
        (nn.DataParallel(lstm()), x, list(x.unbind(1))),
    ]:
        for ours, theirs in zip(seen(module, batch), wanted, strict=True):
            assert torch.equal(ours, theirs)
    assert floss.step_from_module(lstm())[0].advance is not None


def test_a_watched_module_keeps_its_closed_form():
    from floss.networks.torch_forward import keeps_forward

    module = lstm()
    floss.Flosser(module, 1)
    assert keeps_forward(module)


class Doubled(nn.GRU):
    """A module with a forward of its own, which is called for its map."""

    def forward(self, input, hx=None):
        return super().forward(2.0 * input, hx)


def test_calls_that_are_not_the_users_are_not_remembered():
    """Those of a map whose module has a forward of its own, and those that only find the inputs of a batch."""
    module = Doubled(S, N, dtype=DOUBLE)
    flosser, monitor = floss.Flosser(module, 1, epochs=1), floss.Monitor(module, 1)
    x = gaussian(5, 9, 2, S)
    module(x)
    flosser.episode()
    floss.diagnose(module, gaussian(6, 7, 2, S))
    assert monitor.log()
    model = Classifier(lstm())
    whole = floss.Flosser(model, 1, epochs=1, inputs=lambda: gaussian(7, 20, 2, S))
    watching = floss.Monitor(model, 1)
    model(x)
    whole.episode()
    floss.diagnose(model, gaussian(6, 7, 2, S))
    for each in (flosser, monitor, watching):
        kept = each._network.remembered(each._last_inputs)  # pyright: ignore
        assert torch.equal(torch.stack(kept, 1), x)


def test_numbers_of_numpy():
    module = nn.GRU(S, N)
    numbers = gaussian(4, 20, S).numpy()  # in float64, of a module in float32
    flosser = floss.Flosser(module, numbers.dtype.type(2).astype(int), epochs=2, inputs=lambda: numbers)
    assert len(flosser.episode()) == 2


def test_short_sequences_go_on_with_the_next():
    from floss.training.user_network.settings import drive

    a, b = torch.arange(3.0)[:, None], 10 + torch.arange(2.0)[:, None]
    assert drive([a, b], 0, 7)[:, 0].tolist() == [0, 1, 2, 10, 11, 0, 1]
    assert drive([a, b], 1, 4)[:, 0].tolist() == [10, 11, 0, 1]
    assert drive([a, b], 1, None)[:, 0].tolist() == [10, 11]
    assert drive([a, b], 0, 2)[:, 0].tolist() == [0, 1]


def loop(module: nn.Module, flosser: floss.Flosser, start: int, end: int) -> None:
    """A training loop, with data that are a function of the step."""
    optimizer = torch.optim.SGD(module.parameters(), lr=1e-2)
    for i in range(start, end):
        flosser.maybe(i)
        optimizer.zero_grad()
        module(gaussian(i, 15, 2, S))[0].square().mean().backward()
        optimizer.step()


@pytest.mark.parametrize("last_batch", [True, False])
def test_resumed_is_the_same_bit_for_bit(last_batch):
    settings = {"at": [2, 4], "epochs": 5, "inputs": None if last_batch else inputs}
    whole = lstm()
    loop(whole, floss.Flosser(whole, K, **settings), 0, 6)
    first = lstm()
    flosser = floss.Flosser(first, K, **settings)
    loop(first, flosser, 0, 4)
    file = io.BytesIO()
    torch.save({"module": first.state_dict(), "flosser": flosser.state_dict()}, file)
    file.seek(0)
    saved = torch.load(file, weights_only=True)
    second = lstm(1)
    again = floss.Flosser(second, K, **settings)
    second.load_state_dict(saved["module"])
    again.load_state_dict(saved["flosser"])
    loop(second, again, 4, 6)
    assert_same(second, whole)


class Interrupting:
    """Inputs of which those of one epoch are interrupted once."""

    def __init__(self, at: int):
        self.at = at

    def __call__(self, epoch: int) -> torch.Tensor:
        if epoch == self.at:
            self.at = -1
            raise KeyboardInterrupt
        return inputs(epoch)


def test_an_interrupted_episode_goes_on_bit_for_bit():
    whole = lstm()
    wanted = floss.Flosser(whole, K, epochs=8, inputs=inputs).episode()
    first = lstm(dropout=0.0)
    flosser = floss.Flosser(first, K, at=[0], epochs=8, inputs=Interrupting(5))
    with pytest.raises(KeyboardInterrupt):
        flosser.maybe(0)
    assert first.training
    assert flosser.unfinished
    second = lstm(3)
    second.load_state_dict(first.state_dict())
    again = floss.Flosser(second, K, at=[0], epochs=8, inputs=inputs)
    again.load_state_dict(flosser.state_dict())
    for one in (flosser, again):
        episode = one.maybe(0)
        assert episode is not None
        assert torch.equal(episode.loss, wanted.loss)
        assert torch.equal(episode.exponents, wanted.exponents)
        assert not one.unfinished
        assert one.maybe(0) is None
    assert_same(first, whole)
    assert_same(second, whole)


def test_an_interruption_before_the_first_epoch_leaves_the_episode_due():
    flosser = floss.Flosser(lstm(), K, at=[0], epochs=2, inputs=Interrupting(0))
    with pytest.raises(KeyboardInterrupt):
        flosser.maybe(0)
    assert flosser.maybe(1) is not None


def test_maps_of_any_kind():
    """A map with its parameters, without inputs; a structured state; a layer of a stack; both directions."""
    W = (0.4 * gaussian(8, N, N)).requires_grad_()
    before = W.detach().clone()
    episode = floss.Flosser((lambda h: torch.tanh(h @ W.mT), N), K, steps=30, epochs=3, parameters=W).episode()
    assert not torch.equal(W, before)
    assert len(episode) == 3
    cell = nn.LSTMCell(S, N, dtype=DOUBLE)
    pair = floss.step_from_function(cell, (torch.zeros(N, dtype=DOUBLE), torch.zeros(N, dtype=DOUBLE)))
    assert len(floss.Flosser(pair, K, epochs=2, inputs=inputs).episode()) == 2
    stack = lstm(num_layers=2)
    upper = floss.step_from_module(stack, layer=1)
    old = state_of(stack)
    floss.Flosser(upper, K, epochs=1, inputs=lambda: gaussian(3, 20, N)).episode()
    changed = [not torch.equal(p, q) for p, q in zip(stack.parameters(), old, strict=True)]
    assert changed == [False] * 4 + [True] * 4
    both = lstm(bidirectional=True)
    old = state_of(both)
    floss.Flosser(both, K, epochs=1, inputs=inputs).episode()
    assert all(not torch.equal(p, q) for p, q in zip(both.parameters(), old, strict=True))
    joint = lstm(num_layers=2)
    assert len(floss.Flosser(joint, K, epochs=1, inputs=lambda: gaussian(3, 20, 4, S)).episode()) == 1


def test_batches_of_a_cell_alone():
    """They end where the flosser is asked, or where another number of trajectories begins; empty ones say nothing."""
    cell = nn.GRUCell(S, N, dtype=DOUBLE)
    flosser = floss.Flosser(cell, K, epochs=1)
    last = flosser._last_inputs
    for number, (steps, B) in enumerate(((20, 4), (15, 4), (10, 3), (3, 0))):
        for u in gaussian(number, steps, B, S):
            cell(u)
        assert last is not None
        assert len(last.seen) == (20, 15, 10, 10)[number]
        flosser.maybe(number)
    assert flosser.episode().exponents.shape == (1, K)


@pytest.mark.parametrize("recurrent", [lstm, Stepwise])
def test_a_batch_that_was_seen_in_inference_mode(recurrent):
    """As of a validation; so does an episode itself."""
    module, twin = recurrent(), recurrent()
    twin.load_state_dict(module.state_dict())
    flossers = [floss.Flosser(one, K, epochs=2) for one in (module, twin)]
    with torch.inference_mode():
        module(gaussian(5, 20, 2, S))
        flossers[0].episode()
    twin(gaussian(5, 20, 2, S))
    flossers[1].episode()
    assert_same(module, twin)


def test_a_criterion_of_several_truth_values():
    flosser = floss.Flosser(lstm(), K, epochs=1, inputs=inputs, until=lambda lam: lam > 0)
    with pytest.raises(ValueError, match=r"^Flosser: until must return one truth value, got torch.bool \[3\]$"):
        flosser.episode()


def test_a_batch_without_sequences():
    flosser = floss.Flosser(lstm(), K, epochs=1, inputs=lambda: gaussian(1, 20, 0, S))
    with pytest.raises(ValueError, match=r"^Flosser: the batch has no sequence, got torch.float64 \[20, 0, 2\]$"):
        flosser.episode()


def test_float32_stays_float32():
    module = nn.GRU(S, N)
    flosser = floss.Flosser(module, 2, epochs=2)
    module(torch.randn(15, 3, S))
    assert len(flosser.episode()) == 2
    assert all(p.dtype == torch.float32 for p in module.parameters())


def test_lost_directions_are_left_out():
    """A unit of a ReLU network that does not respond: the others are flossed."""
    module = nn.RNN(S, N, nonlinearity="relu", dtype=DOUBLE)
    with torch.no_grad():
        module.bias_ih_l0[0] = -1e3  # pyright: ignore
    episode = floss.Flosser(module, N, epochs=2, inputs=inputs).episode()
    assert torch.isinf(episode.exponents[:, -1]).all()
    assert torch.isfinite(episode.loss).all()
    assert all(torch.isfinite(p).all() for p in module.parameters())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"k": 99}, "Flosser: k=99 must be from 1 to the state size 12"),
        ({"k": 1.0}, "Flosser: k=1.0 must be a whole number, from 1 to the state size 12"),
        ({"every": 0}, "Flosser: every=0 must be at least 1"),
        ({"at": [-1]}, "Flosser: at=-1 must be at least 0"),
        ({"at": [0.5]}, "Flosser: at=0.5 must be a whole number, at least 0"),
        ({"at": torch.tensor(0.5)}, "Flosser: at=torch.float32 [] must be a whole number, at least 0"),
        ({"parameters": 3}, "Flosser: parameters must be leaf tensors of real numbers that require gradients, got 3"),
        ({"epochs": 0}, "Flosser: epochs=0 must be at least 1"),
        ({"lr": 0.0}, "Flosser: lr=0.0 must be positive and finite"),
        ({"steps": 10, "transient": 10}, "Flosser: transient=10 must be from 0 to 9"),
        ({"until": -1.0}, "Flosser: until=-1.0 must be a positive loss, a function of the exponents, or None"),
        ({"target": "x"}, "flossing_loss: target='x' must be a finite number, or a tensor of them"),
        ({"inputs": 3}, "Flosser: inputs=3 must be a function that gives the inputs of a run, or None"),
        ({"parameters": []}, "Flosser: parameters=[] must be at least one tensor"),
        ({"parameters": [torch.zeros(2)]}, "Flosser: parameters must be leaf tensors of real numbers that require"),
        ({"seed": -1}, "Flosser: seed=-1 must be from 0 to 9223372036854775807"),
    ],
)
def test_arguments_that_do_not_fit(settings, message):
    with pytest.raises(ValueError, match=r".") as caught:
        floss.Flosser(lstm(), **{"k": 2, **settings})
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Linear(2, 2), "Flosser: Linear must have one recurrent layer of torch, and has none"),
        (
            nn.ModuleList([nn.GRU(2, 2), nn.GRU(2, 2)]),
            "Flosser: ModuleList must have one recurrent layer of torch, and has 0, 1",
        ),
        (lambda h: h, "Flosser: got <function"),
        ((lambda h: h, 3), "Flosser: parameters=None finds none that require gradients in function"),
    ],
)
def test_networks_that_do_not_fit(network, message):
    with pytest.raises(ValueError, match=r".") as caught:
        floss.Flosser(network, 1, steps=5)
    assert str(caught.value).startswith(message)


def test_what_goes_wrong_in_an_episode():
    with pytest.raises(ValueError, match=r"^Flosser: no batch has gone through LSTM yet; give inputs=$"):
        floss.Flosser(lstm(), 1).episode()
    with pytest.raises(ValueError, match=r"^Flosser: inputs has 20 steps, and steps=30$"):
        floss.Flosser(lstm(), 1, steps=30, inputs=inputs).episode()
    with pytest.raises(ValueError, match=r"^Flosser: flossing epoch 0: .*not finite"):
        floss.Flosser(lstm(), 1, inputs=lambda: torch.full((9, S), torch.nan, dtype=DOUBLE)).episode()
    w = torch.zeros(1, requires_grad=True)
    with pytest.raises(ValueError, match=r"^Flosser: the exponents do not depend on the parameters$"):
        floss.Flosser((lambda h: 0.5 * torch.tanh(h), 2), 1, steps=5, parameters=[w]).episode()
    with pytest.raises(ValueError, match=r"^Flosser: a map without inputs needs steps="):
        floss.Flosser((lambda h: h, 2), 1, parameters=[torch.zeros(1, requires_grad=True)])
    with pytest.raises(ValueError, match=r"^Flosser: a layer of a stack has no batch of its own"):
        floss.Flosser(floss.step_from_module(lstm(num_layers=2), layer=1), 1)
    with pytest.raises(ValueError, match=r"^Flosser: Classifier cannot take such a batch: "):
        floss.Flosser(Classifier(lstm()), 1, inputs=lambda: gaussian(1, 5, 2, 7)).episode()
    other = floss.Flosser(lstm(), 2, inputs=inputs)
    with pytest.raises(ValueError, match=r"^Flosser: the state is not that of a Flosser of these parameters with k=1$"):
        floss.Flosser(lstm(), 1, inputs=inputs).load_state_dict(other.state_dict())


class Decoder(nn.Module):
    """Calls its layer for one step after the other."""

    def __init__(self, *, from_zeros=False, **options):
        super().__init__()
        self.gru, self.from_zeros = nn.GRU(S, 6, **options), from_zeros

    def forward(self, x):
        state = torch.zeros(1, x.shape[1], 6) if self.from_zeros else None
        for u in x:  # [B, S]
            state = self.gru(u[:, None] if self.gru.batch_first else u[None], state)[1]
        return state


@pytest.mark.parametrize(("batch_first", "from_zeros"), [(False, True), (True, False), (True, True)])
def test_a_layer_that_is_called_step_by_step(batch_first, from_zeros):
    """Has the sequences of a whole forward: neither those of its last step, nor those of two forwards."""
    decoder = Decoder(batch_first=batch_first, from_zeros=from_zeros)
    whole = copy.deepcopy(decoder.gru)
    monitor, other = floss.Monitor(decoder, k=2), floss.Monitor(whole, k=2)
    flosser = floss.Flosser(decoder, k=2, epochs=1)
    for length in (7, 12):
        x = gaussian(3, length, 4, S).float()
        batch = x.transpose(0, 1) if batch_first else x
        decoder(x)
        whole(batch)
        assert monitor.log() == other.log()
    assert len(flosser.state_dict()["inputs"][0]) == 12
    lines = [str(floss.diagnose(*pair)).splitlines()[1:] for pair in ((decoder, x), (whole, batch))]
    assert lines[0] == lines[1]


def test_sequences_of_one_step():
    gru = nn.GRU(S, 6)
    flosser = floss.Flosser(gru, k=2, epochs=1)
    gru(torch.zeros(1, 4, S))
    with pytest.raises(ValueError, match=r"^Flosser: the sequences have 1 steps, and need at least 2: give steps=$"):
        flosser.episode()


@pytest.mark.parametrize("how", ["assigned", "loaded"])
def test_parameters_that_were_put_in_place_of_others(how):
    """Are those that are flossed from then on, as if they had been there from the beginning."""
    several = []
    for replaced in (False, True):
        torch.manual_seed(1)
        gru = nn.GRU(S, 6)
        flosser = floss.Flosser(gru, k=2, epochs=2, lr=0.1, inputs=lambda: gaussian(3, 12, S).float())
        flosser.episode()
        if replaced and how == "assigned":
            gru.weight_hh_l0 = nn.Parameter(gru.weight_hh_l0.detach().clone())  # pyright: ignore
        elif replaced:
            gru.load_state_dict({name: p.detach().clone() for name, p in gru.named_parameters()}, assign=True)
        flosser.episode()
        several.append(torch.nn.utils.parameters_to_vector(gru.parameters()))
    assert torch.equal(*several)
