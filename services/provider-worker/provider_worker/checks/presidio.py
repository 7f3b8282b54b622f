"""Microsoft's Presidio as a detector of personal data: its recognizers by pattern and checksum, and no language model.

Importing this takes 2 s and 110 MB, so only a check that is wanted may do it. It reaches nothing on the network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NlpArtifacts, NlpEngine
from presidio_analyzer.predefined_recognizers import EmailRecognizer, SpacyRecognizer

LANGUAGE = "en"
_LANGUAGES = [LANGUAGE]


class _Words(NlpEngine):
    """Words as they are written, for the recognizers that use the context of a find."""

    def __init__(self) -> None:
        self._pipeline: Any = None

    def load(self) -> None:
        self._pipeline = spacy.blank(LANGUAGE)

    def is_loaded(self) -> bool:
        return self._pipeline is not None

    def process_text(self, text: str, language: str) -> NlpArtifacts:
        words = self._pipeline.make_doc(text)
        places = [word.idx for word in words]
        return NlpArtifacts([], words, places, [word.lower_ for word in words], self, language)

    def process_batch(
        self,
        texts: Iterable[str],
        language: str,
        batch_size: int = 1,  # noqa: ARG002 - the interface's
        n_process: int = 1,  # noqa: ARG002
        **_: Any,
    ) -> Iterator[tuple[str, NlpArtifacts]]:
        return ((text, self.process_text(text, language)) for text in texts)

    def is_stopword(self, word: str, language: str) -> bool:  # noqa: ARG002 - one language
        return bool(self._pipeline.vocab[word].is_stop)

    def is_punct(self, word: str, language: str) -> bool:  # noqa: ARG002
        return bool(self._pipeline.vocab[word].is_punct)

    def get_supported_entities(self) -> list[str]:
        return []

    def get_supported_languages(self) -> list[str]:
        return _LANGUAGES


class _Email(EmailRecognizer):
    """The recognizer with the list of public suffixes that ships with it: the original fetches the latest one."""

    def __init__(self) -> None:
        super().__init__()
        self._suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

    def validate_result(self, pattern_text: str) -> bool:
        return bool(self._suffixes(pattern_text).fqdn)


class PresidioDetector:
    """Finds kinds of personal data in texts."""

    def __init__(self) -> None:
        registry = RecognizerRegistry(supported_languages=_LANGUAGES)
        registry.load_predefined_recognizers(languages=_LANGUAGES)
        registry.recognizers = [
            recognizer
            for recognizer in registry.recognizers
            if not isinstance(recognizer, EmailRecognizer | SpacyRecognizer)
        ]
        registry.add_recognizer(_Email())
        self._engine = AnalyzerEngine(registry, _Words(), supported_languages=_LANGUAGES)

    @property
    def kinds(self) -> list[str]:
        """The kinds that it can find, by Presidio's names, in order."""
        return sorted(self._engine.get_supported_entities(LANGUAGE))

    def find(self, text: str, kinds: Sequence[str], threshold: float) -> list[str]:
        """Return the kind of each find that is at least so certain."""
        found = self._engine.analyze(text, LANGUAGE, entities=list(kinds), score_threshold=threshold)
        return [result.entity_type for result in found]
