"""A Pygments lexer for lqft model files.

    pygmentize -x -l editors/pygments/lqft_lexer.py:LqftLexer -f html examples/phi4.lqft

Installed as a package (pyproject.toml beside it) it is found as `lqft` and by *.lqft.
"""
from pygments.lexer import RegexLexer, bygroups, words
from pygments.token import (Comment, Keyword, Name, Number, Operator, Punctuation, String, Whitespace, Error)

__all__ = ["LqftLexer"]

# The lists between `words:` and `end words` are written by editors/generate.py from the
# table of the compiler.
# words:
DECLARATIONS = ("import", "param", "axis", "grid", "lattice", "field", "data", "def", "action",
                "observable", "symmetry", "loss", "kernel", "layer", "network", "sampler",
                "optimizer", "scan", "sample", "minimize", "report", "plot", "save", "print",)
STATEMENTS = ("repeat", "while", "for", "return", "accept", "monitor", "state", "warn",
              "reversible", "if", "then", "else",)
OPERATORS = ("and", "or", "not", "in",)
JOINTS = ("with", "over", "of", "to", "as",)
CONSTANTS = ("true", "false", "pi", "inf",)
RESERVEDS = ("flow", "schedule",)
SPECIALS = ("E", "grad", "warmup", "accepted", "iteration", "progress", "weight", "stop", "from",
            "keep",)
BINDERS = ("sum", "prod", "max", "min", "mean", "integral",)
KINDS = ("real", "positive", "angle", "complex", "spin",)
MAKERS = ("torus", "box", "linspace", "logspace", "points", "load",)
BOUNDARIES = ("periodic", "antiperiodic", "open",)
SETTINGS = ("chains", "warmup", "draws", "thin", "precision", "start", "steps", "until",)
CHOICES = ("hot", "cold", "single", "double",)
PLOTS = ("histogram", "history", "density", "paths", "lines", "map", "errors",)
FUNCTIONS = ("exp", "expm1", "log", "log1p", "sin", "cos", "tan", "asin", "acos", "atan", "sinh",
             "cosh", "tanh", "asinh", "acosh", "atanh", "erf", "lgamma", "erfc", "digamma",
             "log_i0", "bessel_ratio", "softplus", "sigmoid", "sqrt", "abs", "sign", "floor",
             "round", "atan2", "pow", "hash", "mod", "min", "max", "Re", "Im", "conj", "arg",
             "sum", "prod", "mean", "volume", "size", "step", "extent", "position", "vary",
             "sites", "zeros", "identity", "window", "block", "coarse", "fine", "difference",
             "colour", "colours", "svd", "eigh", "cholesky", "solve", "logdet", "spread", "flat",
             "shaped", "normal", "uniform", "exponential",)
# end words

LETTER = "a-zA-Z_\u00aa\u00b5\u00ba\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u02af\u0370-\u0373\u0376-\u037d\u037f\u0386-\u03f5\u03f7-\u0481\u048a-\u052f" \
         "\u05d0-\u05ea\u1e00-\u1fbc\u2102-\u2149\u3041-\u3096\u30a1-\u30fa\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7a3\uff21-\uff5a\U0001d400-\U0001d7cb"
INNER = LETTER + "0-9'\u0300-\u036f\u1d62-\u1d6a\u2080-\u2089\u2090-\u209c\uff10-\uff19"
NAME = f"[{LETTER}][{INNER}]*"
END = f"(?![{INNER}])"
DIGITS = r"[0-9](?:_?[0-9])*"
NUMBER = rf"(?:{DIGITS}(?:\.(?!\.)(?:{DIGITS})?)?|\.{DIGITS})(?:[eE][+-]?{DIGITS})?i?"


class LqftLexer(RegexLexer):
    """For models of lattice field theory."""

    name = "lqft"
    aliases = ["lqft"]
    filenames = ["*.lqft"]
    mimetypes = ["text/x-lqft"]

    tokens = {
        "root": [
            (r"\n", Whitespace),
            (r"[^\S\n]+", Whitespace),
            (r"^([^\S\n]*)(##.*)", bygroups(Whitespace, Comment.Special)),
            (r"#.*", Comment.Single),
            (r'"(?:\\[n"\\]|[^"\\\n])*"', String.Double),
            (NUMBER, Number),
            (r"[\u00bd\u221e]", Number),
            (r"[\u00b2\u00b3\u00b9\u2070\u2074-\u2079\u207a\u207b]+", Number),
            (r"\.\.", Operator),
            (rf"(\.)([^\S\n]*)({NAME})", bygroups(Punctuation, Whitespace, Name.Attribute)),
            (r"[\u2211\u220f\u222b]", Name.Builtin),
            (words(DECLARATIONS, suffix=END), Keyword.Declaration),
            (words(STATEMENTS + JOINTS, suffix=END), Keyword),
            (words(OPERATORS, suffix=END), Operator.Word),
            (words(CONSTANTS, suffix=END), Keyword.Constant),
            (words(RESERVEDS, suffix=END), Keyword.Reserved),
            (words(SPECIALS, suffix=END), Name.Builtin.Pseudo),
            (words(BINDERS, suffix=END + r"(?=[^\S\n]*\[)"), Name.Builtin),
            (words(FUNCTIONS + MAKERS + PLOTS, suffix=END + r"(?=[^\S\n]*\()"), Name.Builtin),
            (rf"(:)([^\S\n]*)((?:{'|'.join(KINDS)}){END})", bygroups(Punctuation, Whitespace, Keyword.Type)),
            (words(BOUNDARIES, suffix=END), Name.Constant),
            (words(SETTINGS, suffix=END + r"(?=[^\S\n]*=[^=])"), Name.Property),
            (NAME, Name),
            (r"->|<=|>=|==|!=|[-+*/^<>=~]", Operator),
            (r"[\u2208\u2264\u2265\u2260\u2192\u00b7\u00d7\u22c5\u00f7\u2212]", Operator),
            (r"[(){}\[\],;:.]", Punctuation),
            (r".", Error),
        ],
    }
