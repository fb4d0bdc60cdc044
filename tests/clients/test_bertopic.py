"""BERTopic with a clusterer in the place of HDBSCAN, and no language model."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from sklearn_cce import CollisionClusterer

THEMES = {
    "sky": "planet star orbit telescope moon comet galaxy rocket gravity crater",
    "kitchen": "bread oven flour butter salt pan recipe dough sugar knife",
    "sea": "ship harbour wave sailor anchor captain deck island tide sail",
}
SIZES = {"sky": 40, "kitchen": 80, "sea": 120}
"""Numbers of texts; BERTopic calls the largest topic 0."""


@pytest.fixture(scope="module")
def bertopic():
    return pytest.importorskip("bertopic")


@pytest.fixture(scope="module")
def texts():
    """Texts of eight words of a theme each, and their themes."""
    rng = np.random.default_rng(0)
    themes = rng.permutation(np.repeat(list(SIZES), list(SIZES.values())))
    words = [rng.choice(THEMES[theme].split(), 8) for theme in themes]
    return np.array([" ".join(some) for some in words]), themes


@pytest.fixture(scope="module")
def embedder(bertopic, texts):
    """Give an embedding model of word counts, as the documentation of BERTopic asks."""

    class Counts(bertopic.backend.BaseEmbedder):
        def __init__(self):
            super().__init__()
            svd = TruncatedSVD(10, random_state=0)
            self.model = make_pipeline(TfidfVectorizer(), svd, Normalizer())

        def embed(self, documents, verbose=False):
            return self.model.transform(documents)

    counts = Counts()
    counts.model.fit(texts[0])
    return counts


@pytest.fixture
def topic_model(bertopic, embedder):
    dimensionality = pytest.importorskip("bertopic.dimensionality")
    return bertopic.BERTopic(
        embedding_model=embedder,
        umap_model=dimensionality.BaseDimensionalityReduction(),
        hdbscan_model=CollisionClusterer(3, random_state=0),
    )


def topics_of(themes):
    return np.array([list(SIZES)[::-1].index(theme) for theme in themes])


def test_topics_are_the_themes(topic_model, texts):
    documents, themes = texts
    topics, _ = topic_model.fit_transform(list(documents))
    assert_array_equal(topics, topics_of(themes))
    assert list(topic_model.get_topic_info().Count) == [120, 80, 40]
    for topic, theme in enumerate(["sea", "kitchen", "sky"]):
        words = [word for word, _ in topic_model.get_topic(topic)]
        assert set(words) <= set(THEMES[theme].split())


def test_every_document_has_a_probability(topic_model, texts, embedder):
    documents = list(texts[0])
    _, probabilities = topic_model.fit_transform(documents)
    clusterer = topic_model.hdbscan_model
    expected = clusterer.predict_proba(embedder.embed(documents)).max(1)
    assert_array_equal(probabilities, expected)
    info = topic_model.get_document_info(documents)
    assert_array_equal(info.Probability, expected)
    assert_array_equal(info.Topic, topic_model.topics_)


def test_new_documents_get_their_topic(topic_model, texts, embedder):
    documents, themes = texts
    topic_model.fit(list(documents[:180]))
    new = list(documents[180:])
    topics, _ = topic_model.transform(new)
    assert_array_equal(topics, topics_of(themes[180:]))
    order = topic_model.topic_mapper_.get_mappings()
    found = topic_model.hdbscan_model.predict_proba(embedder.embed(new))
    assert_array_equal([order[cluster] for cluster in found.argmax(1)], topics)


def test_embeddings_of_ones_own_and_a_stored_model(
    topic_model, texts, embedder, bertopic, tmp_path
):
    documents, themes = texts
    embeddings = embedder.embed(documents)
    topic_model.fit(list(documents), embeddings)
    file = tmp_path / "topics"
    topic_model.save(file, serialization="pickle", save_embedding_model=False)
    again = bertopic.BERTopic.load(file)
    topics, _ = again.transform(list(documents), embeddings)
    assert_array_equal(topics, topics_of(themes))


def test_topics_of_a_stream(topic_model, texts, embedder):
    vectorizers = pytest.importorskip("bertopic.vectorizers")
    topic_model.vectorizer_model = vectorizers.OnlineCountVectorizer()
    documents, themes = texts
    topic_model.hdbscan_model.fit(embedder.embed(documents[:120]))
    for rows in (slice(120, 180), slice(180, 240)):
        topic_model.partial_fit(list(documents[rows]))
        expected = topic_model.hdbscan_model.predict(embedder.embed(documents[rows]))
        assert_array_equal(topic_model.topics_, expected)
        pairs = set(zip(topic_model.topics_, themes[rows], strict=True))
        assert len(pairs) == 3
