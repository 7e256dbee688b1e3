"""Random SAEs of the library, each with the SparseCoder that should do the same."""

import warnings
from typing import Any

import torch
from torch import Tensor

from app.attribution.sae import SparseCoder
from app.attribution.sae_steps import (
    Activation,
    ConstantNormRescale,
    FixedScale,
    Gated,
    InputNorm,
    JumpReLU,
    LayerNorm,
    NoNorm,
    ReLU,
    RescaledTopK,
    TopK,
)

with warnings.catch_warnings():
    # The library still imports a TransformerLens module by its former name.
    warnings.filterwarnings("ignore", "The 'utils' module", DeprecationWarning)
    from sae_lens import SAE, BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig

# The last is trained so and saved as a JumpReLU of one threshold.
ARCHITECTURES = ("standard", "topk", "topk_rescaled", "jumprelu", "gated", "batchtopk")
K = 7


def random_z(n_tokens: int, d_in: int) -> Tensor:
    """Tokens with a mean and a scale of their own, so that no input step is near the identity."""
    generator = torch.Generator().manual_seed(11)
    z = torch.randn(n_tokens, d_in, generator=generator)
    return z * (0.5 + torch.rand(n_tokens, 1, generator=generator) * 3) + 0.4


def build(
    architecture: str, apply_b_dec: bool, norm: str, n_heads: int, d_head: int, d_sae: int, factor: float
) -> tuple[Any, SparseCoder]:
    """The library's SAE on random weights, and ours from the same weights."""
    library = library_sae(architecture, apply_b_dec, norm, n_heads * d_head, d_sae)
    coder = coder_of(library, architecture, n_heads, factor)
    if norm == "expected_average_only_in":
        # The library has no step for this factor: it multiplies it into the weights.
        library.fold_activation_norm_scaling_factor(factor)
    return library, coder


def library_sae(architecture: str, apply_b_dec: bool, norm: str, d_in: int, d_sae: int) -> Any:
    config = {
        "architecture": "jumprelu" if architecture == "batchtopk" else architecture.removesuffix("_rescaled"),
        "d_in": d_in,
        "d_sae": d_sae,
        "apply_b_dec_to_input": apply_b_dec,
        "normalize_activations": norm,
        "metadata": {},
    }
    if architecture.startswith("topk"):
        config |= {"k": K, "rescale_acts_by_decoder_norm": architecture.endswith("_rescaled")}
    library = SAE.from_dict(config)
    generator = torch.Generator().manual_seed(2)
    for name, parameter in library.named_parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        parameter.data = noise.abs() if name == "threshold" else noise * 0.7
    if architecture == "batchtopk":
        library.load_state_dict(saved_for_inference(library))
    library.requires_grad_(requires_grad=False)
    return library


def saved_for_inference(library: Any) -> dict[str, Tensor]:
    """What the library saves of a BatchTopK SAE, after its training, with the weights of this JumpReLU one."""
    cfg = library.cfg
    fields = {
        name: getattr(cfg, name)
        for name in ("d_in", "d_sae", "apply_b_dec_to_input", "normalize_activations")
    }
    training = BatchTopKTrainingSAE(BatchTopKTrainingSAEConfig(k=K, **fields))
    for name, parameter in training.named_parameters():
        parameter.data = getattr(library, name).data.clone()
    training.topk_threshold = torch.tensor(1.3, dtype=torch.double)
    state = training.state_dict()
    training.process_state_dict_for_saving_inference(state)
    return state


def coder_of(library: Any, architecture: str, n_heads: int, factor: float) -> SparseCoder:
    weights = {name: parameter.detach().clone() for name, parameter in library.named_parameters()}
    activations: dict[str, Activation] = {"standard": ReLU(), "topk": TopK(K)}
    # Folding the factor into the weights shortens the decoder, and with it these activations.
    shorter = factor if library.cfg.normalize_activations == "expected_average_only_in" else 1.0
    activations["topk_rescaled"] = RescaledTopK(K, weights["W_dec"].norm(dim=-1) / shorter)
    if architecture in ("jumprelu", "batchtopk"):
        activations[architecture] = JumpReLU(weights["threshold"])
    if architecture == "gated":
        activations["gated"] = Gated(weights["r_mag"], weights["b_mag"])
    norms: dict[str, InputNorm] = {
        "none": NoNorm(),
        "layer_norm": LayerNorm(),
        "constant_norm_rescale": ConstantNormRescale(),
        "expected_average_only_in": FixedScale(factor),
    }
    return SparseCoder(
        architecture=library.cfg.architecture(),
        n_heads=n_heads,
        d_head=library.cfg.d_in // n_heads,
        w_enc=weights["W_enc"],
        w_dec=weights["W_dec"],
        b_enc=weights["b_gate" if architecture == "gated" else "b_enc"],
        b_dec=weights["b_dec"],
        apply_b_dec_to_input=library.cfg.apply_b_dec_to_input,
        activation=activations[architecture],
        input_norm=norms[library.cfg.normalize_activations],
    )
