"""Arrow, or the error that says how to install it."""

from mcr2_landscape.extras import missing_extra

try:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
except ImportError:
    raise missing_extra("a study", "pyarrow", "study") from None

__all__ = ["pa", "pc", "pq"]
