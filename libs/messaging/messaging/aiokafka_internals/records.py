"""Names of aiokafka by which records are read past the library's own iteration."""

from __future__ import annotations

from aiokafka.record.default_records import DefaultRecordBatch
from aiokafka.record.util import decode_varint_py as decode_varint

__all__ = ["DefaultRecordBatch", "decode_varint"]
