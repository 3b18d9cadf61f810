"""What a recipe is called: in the manifest, in a candidate's name, in the story of a repair."""

from __future__ import annotations

from dataclasses import fields, replace

import msgspec

from edge.manifest import Recipe
from export.candidates import Draft, Plan
from export.convert.options import QuantizeOptions

_NOWHERE = "no CPU: weights of 7 bits leave 16-bit sums room"
_OLD_X86 = "x86 without VNNI, unless run with session.x64quantprecision=1"
_WIDE_SUMS = "no CPU: LiteRT's kernels sum in 32 bits"
_INT8 = "int8"
_MIXED = "mixed"


def recipe_of(plan: Plan, options: QuantizeOptions, steps: tuple[str, ...] = ()) -> Recipe:
    """The manifest's record of ``options``."""
    saturates_on = _WIDE_SUMS if plan.format == "tflite" else _NOWHERE if options.weight_bits == 7 else _OLD_X86
    return Recipe(
        calibration=options.calibration,
        weight_bits=options.weight_bits,
        symmetric=options.symmetric,
        per_channel=options.per_channel,
        rounding=options.rounding and options.per_channel,
        equalised=options.equalise,
        float_layers=options.float_layers,
        steps=steps,
        saturates_on=saturates_on,
    )


def deliberate(draft: Draft, options: QuantizeOptions, steps: tuple[str, ...] = ()) -> Draft:
    """``draft`` with its recipe in the manifest entry. One that has become ``mixed`` because layers were left in float on purpose
    is called so: onnx-int8 → onnx-mixed."""
    candidate = msgspec.structs.replace(draft.candidate, recipe=recipe_of(draft.plan, options, steps))
    plan = draft.plan
    if candidate.precision == _MIXED and options.float_layers:
        plan = replace(plan, name=plan.name.replace(_INT8, _MIXED), file=plan.file.replace(_INT8, _MIXED))
        file = msgspec.structs.replace(candidate.model_file, file=plan.file)
        candidate = msgspec.structs.replace(candidate, name=plan.name, model_file=file)
    return replace(draft, plan=plan, candidate=candidate)


def describe(options: QuantizeOptions, than: QuantizeOptions | None = None) -> str:
    """``options`` in words; with ``than`` only where they differ."""
    words = []
    for name in (field.name for field in fields(options)):
        value = getattr(options, name)
        if than is not None and value == getattr(than, name):
            continue
        words.append(_word(name, value))
    return ", ".join(word for word in words if word) or "the same"


def _word(name: str, value: object) -> str:
    if name == "float_layers":
        layers = value if isinstance(value, tuple) else ()
        return f"{len(layers)} layers in float: {', '.join(layers)}" if layers else ""
    if name == "calibration":
        return f"{value} ranges"
    if name == "weight_bits":
        return f"{value}-bit weights"
    told = {
        "symmetric": ("symmetric activations", ""),
        "per_channel": ("", "one weight scale a tensor"),
        "rounding": ("", "weights rounded one by one"),
        "equalise": ("equalised channels", ""),
    }
    return told[name][0 if value else 1]
