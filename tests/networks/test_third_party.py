"""Recurrent cells of other packages as maps: their Jacobians against differences, their exponents and gradients.

Each test needs its package (`pip install 'floss[cells,transformers]'`, as `make test-slow` does), and is skipped where
it is not installed. What is written here itself (a minGRU, a complex diagonal
recurrence) is always tried.
"""

import copy
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from problems import DOUBLE, gaussian
from torch import Tensor, nn

import floss

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]

S, N, T = 3, 6, 12
Pair = tuple[Callable[..., Tensor], int]


def package(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} is not installed")


def numeric(step: Callable[..., Tensor], h: Tensor, x: Sequence[Tensor], e: float) -> Tensor:
    columns = [
        (step(h + e * v, *x).detach() - step(h - e * v, *x).detach()) / (2 * e)
        for v in torch.eye(len(h), dtype=h.dtype)
    ]
    return torch.stack(columns, -1)


def check(pair: Pair, h: Tensor, inputs: Tensor | None, parameters: Sequence[Tensor], e=1e-6, tolerance=1e-6) -> Tensor:
    """Jacobian, exponents of one trajectory and of two, and that the gradient reaches parameters; the exponents."""
    step, n = pair
    assert h.shape == (n,)
    x = () if inputs is None else (inputs[0],)
    steps = T if inputs is None else None
    D = floss.one_step_jacobians(step, h, None if inputs is None else inputs[:1], steps=None if x else 1)[0].detach()
    torch.testing.assert_close(D, numeric(step, h, x, e), rtol=0, atol=tolerance)
    k = min(3, n)
    lam = floss.lyapunov_spectrum(step, h, inputs, steps=steps, k=k, singular="-inf")
    if parameters:
        gradients = torch.autograd.grad(lam[torch.isfinite(lam)].sum(), parameters, allow_unused=True)
        reached = [g for g in gradients if g is not None]
        assert reached
        assert all(torch.isfinite(g).all() for g in reached)
    two = None if inputs is None else torch.stack((inputs, inputs), 1)
    both = floss.lyapunov_spectrum(step, torch.stack((h, h)), two, steps=steps, k=k, singular="-inf").detach()
    torch.testing.assert_close(both, torch.stack((lam, lam)).detach(), rtol=1e-4, atol=1e-5)
    return lam.detach()


def zeros_like(state: Any) -> Any:
    return tuple(map(zeros_like, state)) if isinstance(state, tuple) else torch.zeros_like(state.detach())


# --- written here --------------------------------------------------------------------------------------------------


def test_a_min_gru():
    """Feng et al. 2024: h' = (1 - z(x)) h + z(x) g(x): exponents of a diagonal map, mean log(1 - z)."""
    z_of, g_of = nn.Linear(S, N, dtype=DOUBLE), nn.Linear(S, N, dtype=DOUBLE)

    def step(h, x):
        z = torch.sigmoid(z_of(x))
        return (1 - z) * h + z * g_of(x)

    inputs = gaussian(1, 200, S)
    lam = floss.lyapunov_spectrum(step, gaussian(2, N), inputs, transient=100)
    exact = torch.log1p(-torch.sigmoid(z_of(inputs[100:]))).mean(0).sort(descending=True).values
    torch.testing.assert_close(lam.sum(), exact.sum(), rtol=1e-10, atol=1e-10)
    check((step, N), gaussian(2, N), inputs[:T], list(z_of.parameters()))


def test_a_complex_diagonal_recurrence():
    """The core of S5 and the LRU: z' = λ z + B x; exponents log|λ| twice, time constants -1 / log|λ|."""
    lam = torch.tensor([0.95 * torch.e ** (1j * 0.4), 0.6j, 0.3], dtype=torch.complex128).requires_grad_()
    B = torch.complex(gaussian(1, 3, S), gaussian(2, 3, S))
    pair = floss.step_from_function(
        lambda z, x: lam * z + B @ x.to(torch.complex128), torch.zeros(3, dtype=torch.complex128)
    )
    check(pair, gaussian(3, 6), gaussian(4, T, S), [lam])
    exact = lam.detach().abs().log().repeat_interleave(2)
    ours = floss.lyapunov_spectrum(pair[0], gaussian(3, 6), gaussian(4, 150, S), transient=120).detach()
    torch.testing.assert_close(ours, exact, rtol=1e-6, atol=1e-6)


# --- cells of packages ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["CfCCell", "LTCCell", "CfC"])
def test_ncps(kind):
    ncps = package("ncps.torch")
    if kind == "LTCCell":
        wiring = package("ncps.wirings").AutoNCP(8, 2)
        wiring.build(S)
        cell = ncps.LTCCell(wiring, S).double()
    else:
        cell = getattr(ncps, kind)(S, 8).double()

    def step(h, x):
        if kind == "CfC":
            return cell(x[None, None], h[None])[1][0]
        return cell(x[None], h[None], torch.ones(1, dtype=DOUBLE) if kind == "CfCCell" else 1.0)[1][0]

    pair = floss.step_from_function(step, torch.zeros(8, dtype=DOUBLE))
    check(pair, 0.1 * gaussian(1, 8), gaussian(2, T, S), [p for p in cell.parameters() if p.requires_grad])


TORCHRECURRENT = (
    *("ATRCell", "AntisymmetricRNNCell", "BRCell", "FastGRNNCell", "IndRNNCell", "JANETCell", "LEMCell", "LiGRUCell"),
    *("MGUCell", "MinimalRNNCell", "NASCell", "PeepholeLSTMCell", "RANCell", "SCRNCell", "UGRNNCell", "coRNNCell"),
)


@pytest.mark.parametrize("name", TORCHRECURRENT)
def test_torchrecurrent(name):
    torch.manual_seed(0)
    cell = getattr(package("torchrecurrent"), name)(S, N).double()
    inputs = gaussian(2, T, S)
    step, n = floss.step_from_function(cell, zeros_like(cell(inputs[0])))
    check((step, n), 0.1 * gaussian(1, n), inputs, list(cell.parameters()))


def test_a_cell_whose_output_is_not_its_state():
    cell = package("torchrecurrent").MCLSTMCell(S, N).double()
    inputs = gaussian(2, T, S)
    step, n = floss.step_from_function(lambda x, s: cell(x, s)[1], zeros_like(cell(inputs[0])[1]))
    check((step, n), 0.1 * gaussian(1, n), inputs, list(cell.parameters()))


def test_slstm_of_xlstm():
    cells = package("xlstm.blocks.slstm.cell")
    settings = {"backend": "vanilla", "dtype": "float32", "enable_automatic_mixed_precision": False}
    cell = cells.sLSTMCell(cells.sLSTMCellConfig(hidden_size=4, num_heads=2, **settings)).double()
    torch.manual_seed(0)
    for p in cell.parameters():
        nn.init.normal_(p, 0, 0.3)
    step, n = floss.step_from_function(
        lambda s, x: cell(x[None, None], s[:, None])[1][:, 0], torch.zeros(4, 4, dtype=DOUBLE)
    )
    check((step, n), 0.1 * gaussian(1, n), gaussian(2, T, 16), list(cell.parameters()))


def test_a_flow_by_torchdiffeq():
    """rk4 of dh/dt = -h + W tanh(h) in one step of 0.1 is one of floss.stroboscopic_map; dopri5 is near it."""
    odeint = package("torchdiffeq").odeint
    W = (1.5 * gaussian(1, 3, 3) / 3**0.5).requires_grad_()
    times = torch.tensor([0.0, 0.1], dtype=DOUBLE)

    def field(h):
        return -h + torch.tanh(h) @ W.mT

    h = gaussian(2, 3)

    def step(h, method="rk4", **more):
        return odeint(lambda t, y: field(y), h, times, method=method, **more)[-1]

    lam = check((step, 3), h, None, [W])
    pair = floss.step_from_function(
        lambda h: step(h, "dopri5", rtol=1e-9, atol=1e-10), torch.zeros(3, dtype=DOUBLE), derivative="reverse"
    )
    twin = floss.stroboscopic_map(field, period=0.1, substeps=10)
    wanted = floss.lyapunov_spectrum(twin, h, steps=T).detach()
    torch.testing.assert_close(lam, wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(check(pair, h, None, [W]), wanted, rtol=0, atol=1e-6)
    with pytest.raises(
        ValueError, match=r"has no forward-mode derivative: .*; step_from_function\(f, state, derivative="
    ):
        floss.lyapunov_spectrum(lambda h: step(h, "dopri5"), h, steps=2)


def test_a_spiking_layer_of_snntorch():
    """The derivative is the surrogate one: that of the same equations with a spike whose slope is the surrogate's."""
    snn = package("snntorch")
    beta, slope = 0.9, 25.0
    cell = snn.Leaky(beta=beta, reset_mechanism="subtract", spike_grad=snn.surrogate.fast_sigmoid(slope=slope))
    drive, back = nn.Linear(S, N), nn.Linear(N, N)

    def step(s, x):
        spikes, membrane = cell(drive(x) + back(s["spikes"]), s["membrane"])
        return {"spikes": spikes, "membrane": membrane}

    example = {"spikes": torch.zeros(N), "membrane": torch.zeros(N)}
    pair = floss.step_from_function(step, example, derivative="reverse")
    h, x = torch.cat((gaussian(1, N) > 0, gaussian(2, N) + 0.5), -1).float(), gaussian(3, S).float()
    D = floss.one_step_jacobians(pair[0], h, x[None])[0].detach()
    after = pair[0](h, x)[N:].detach()
    surrogate = 1.0 / (slope * (after - 1.0).abs() + 1.0) ** 2
    membrane = torch.cat((back.weight.detach(), beta * torch.eye(N)), -1)  # the reset is detached
    torch.testing.assert_close(D, torch.cat((surrogate[:, None] * membrane, membrane)), rtol=1e-4, atol=1e-5)
    lam = floss.lyapunov_spectrum(pair[0], h, gaussian(4, T, S).float(), k=3, singular="-inf")
    (gradient,) = torch.autograd.grad(lam[torch.isfinite(lam)].sum(), back.weight)
    assert torch.isfinite(gradient).all()
    assert float(gradient.norm()) > 0


def test_the_echo_state_of_a_reservoir_of_reservoirpy():
    import numpy as np

    reservoir = package("reservoirpy.nodes").Reservoir(30, lr=0.5, sr=0.9, seed=1)
    inputs = gaussian(1, 300, 2)
    states = reservoir.run(inputs.numpy())
    dense = [
        np.asarray(m.todense() if hasattr(m, "todense") else m) for m in (reservoir.W, reservoir.Win, reservoir.bias)
    ]
    W, V, b = (torch.as_tensor(m).double() for m in dense)

    def step(h, x):
        return 0.5 * h + 0.5 * torch.tanh(h @ W.mT + x @ V.mT + b.reshape(-1))

    h = torch.zeros(30, dtype=DOUBLE)
    for x in inputs:
        h = step(h, x)
    torch.testing.assert_close(h, torch.as_tensor(states[-1]), rtol=0, atol=1e-12)
    lam = floss.conditional_exponents(step, torch.zeros(30, dtype=DOUBLE), inputs, transient=50)
    assert float(lam) < 0
    other = step(gaussian(2, 30), inputs[0])
    for x in inputs[1:]:
        other = step(other, x)
    distance = float((other - h).norm())
    assert torch.tensor(distance).log() / 300 == pytest.approx(float(lam), abs=0.05)


# --- state-space and language models -------------------------------------------------------------------------------


def test_s5():
    ssm = package("s5").S5(4, 8).seq
    tau = floss.time_constants(ssm)[""]
    with pytest.warns(floss.TimeConstantWarning, match="last longer than the sequences of 50 steps"):
        floss.time_constants(ssm, steps=50)
    rate = ssm.Lambda.detach() * ssm.log_step.detach().exp().reshape(-1)
    eigenvalues = torch.exp(rate.to(torch.complex128))
    step = floss.step_from_function(lambda z: eigenvalues * z, torch.zeros_like(eigenvalues))
    torch.testing.assert_close(floss.time_constants(step)[""][::2], tau, rtol=1e-4, atol=1e-4)


def test_rwkv_of_transformers():
    """Its attention as a recurrence, (numerator, denominator, maximum). The model writes into the state that it reads,
    and cannot be differentiated through it, forwards or backwards: it says so in one line."""
    transformers = package("transformers")
    modeling = package("transformers.models.rwkv.modeling_rwkv")
    sizes = {"hidden_size": 2, "attention_hidden_size": 2, "intermediate_size": 4, "num_hidden_layers": 2}
    model = transformers.RwkvModel(transformers.RwkvConfig(vocab_size=11, **sizes)).double().eval()
    attention = model.blocks[0].attention

    def step(state, x):
        key, value = attention.key(x)[None, None], attention.value(x)[None, None]
        parts = tuple(part[None] for part in state)
        decay, first = attention.time_decay, attention.time_first
        _, after = modeling.rwkv_linear_attention_cpu(decay, first, key, value, state=parts, return_state=True)
        return tuple(part[0] for part in after)

    example = tuple(torch.zeros(2, dtype=DOUBLE) for _ in range(3))
    pair = floss.step_from_function(step, example, derivative="reverse")
    check(pair, 0.1 * gaussian(1, 6), gaussian(2, T, 2), [attention.time_decay, attention.key.weight])
    tau = floss.time_constants(model)["blocks.0.attention"]
    torch.testing.assert_close(tau, (-attention.time_decay.detach()).exp().sort(descending=True).values)

    def whole(state, x):
        return tuple(model(inputs_embeds=x[None, None], state=[s.clone() for s in state], use_cache=True).state)

    example = tuple(torch.zeros(1, 2, 2, dtype=DOUBLE) for _ in range(5))
    for derivative in ("forward", "reverse"):
        refused, n = floss.step_from_function(whole, example, derivative=derivative)
        with pytest.raises(ValueError, match=r"^lyapunov_spectrum: the map .*(writes into|inplace)"):
            floss.lyapunov_spectrum(refused, torch.zeros(n, dtype=DOUBLE), gaussian(2, 4, 2))


def test_mamba_of_transformers():
    """Its scan goes through float32."""
    transformers = package("transformers")
    settings = {"hidden_size": 2, "state_size": 2, "num_hidden_layers": 1, "expand": 2, "time_step_rank": 1}
    model = transformers.MambaModel(transformers.MambaConfig(vocab_size=11, conv_kernel=3, **settings)).double().eval()
    assert set(floss.time_constants(model)) == {"layers.0.mixer"}
    cache = model(inputs_embeds=torch.zeros(1, 1, 2, dtype=DOUBLE), use_cache=True).cache_params
    (layer,) = cache.layers

    def step(state, x):
        now, own = copy.copy(cache), copy.copy(layer)
        now.layers = [own]
        own.conv_states, own.recurrent_states = ({0: part.clone()} for part in state)
        model(inputs_embeds=x[None, None], cache_params=now, use_cache=True)
        return own.conv_states[0], own.recurrent_states[0]

    example = (zeros_like(layer.conv_states[0]), zeros_like(layer.recurrent_states[0]))
    pair = floss.step_from_function(step, example, derivative="reverse")
    check(pair, 0.1 * gaussian(1, pair[1]), gaussian(2, 4, 2), list(model.parameters()), e=1e-2, tolerance=1e-3)


# --- in a training loop --------------------------------------------------------------------------------------------


def test_a_module_in_a_training_of_lightning():
    """Flosser and Monitor as a callback of a few lines, in a real run."""
    lightning = package("lightning")

    class Model(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.rnn, self.head = nn.GRU(S, N), nn.Linear(N, 1)

        def training_step(self, batch, index):
            return (self.head(self.rnn(batch[0].transpose(0, 1))[0][-1]) - batch[1]).square().mean()

        def configure_optimizers(self):
            return torch.optim.SGD(self.parameters(), lr=1e-2)

    class Flossing(lightning.Callback):
        def __init__(self, model):
            self.flosser = floss.Flosser(model, 2, at=[3], epochs=2)
            self.monitor, self.logs, self.episodes = floss.Monitor(model, 2, every=2), [], []

        def on_train_batch_start(self, trainer, module, batch, index):
            self.episodes.append(self.flosser.maybe(trainer.global_step))

        def on_train_batch_end(self, trainer, module, outputs, batch, index):
            self.logs.append(self.monitor.log())

    torch.manual_seed(0)
    model = Model()
    callback = Flossing(model)
    data = torch.utils.data.TensorDataset(torch.randn(24, T, S), torch.randn(24, 1))
    quiet = {
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
    }
    trainer = lightning.Trainer(max_epochs=1, accelerator="cpu", callbacks=[callback], **quiet)
    trainer.fit(model, torch.utils.data.DataLoader(data, batch_size=4))
    assert [i for i, episode in enumerate(callback.episodes) if episode] == [3]
    assert [bool(log) for log in callback.logs] == [True, False] * 3
