"""An extension of Griffe: annotations stay as they are written, `Float[Tensor, "T *inputs"]` and not `T * inputs`.

Griffe reads a text within an annotation as code, which the shapes of jaxtyping are not.
"""

# Griffe is not there without the extra `docs`.
# pyright: reportMissingImports=false

import ast
from typing import Any

import griffe


class AsWritten(griffe.Extension):
    """Takes the annotations of functions and of attributes from the source."""

    def on_function_instance(self, *, node: Any, func: Any, **_: Any) -> None:
        if not isinstance(node, ast.FunctionDef):
            return
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            if argument.annotation is not None:
                func.parameters[argument.arg].annotation = _text(argument.annotation)
        if node.returns is not None:
            func.returns = _text(node.returns)

    def on_attribute_instance(self, *, node: Any, attr: Any, **_: Any) -> None:
        if isinstance(node, ast.AnnAssign):
            attr.annotation = _text(node.annotation)
        elif isinstance(node, ast.FunctionDef) and node.returns is not None:  # a property
            attr.annotation = _text(node.returns)


def _text(annotation: ast.expr) -> str:
    return ast.unparse(annotation).replace("'", '"')
