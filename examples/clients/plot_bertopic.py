"""
Topics of texts with BERTopic
=============================

BERTopic embeds texts, clusters them and describes every cluster by its words. A
clusterer of this package takes the place of HDBSCAN: every text gets a topic, none is
left out as an outlier, and a probability comes with it.

The texts are what SciPy says of its own functions; the subpackage that a function is in
serves to judge the topics. No language model is needed for them.
"""

import importlib
import inspect

import numpy as np
import pandas as pd
from bertopic import BERTopic
from bertopic.backend import BaseEmbedder
from bertopic.dimensionality import BaseDimensionalityReduction
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import Normalizer

from sklearn_cce import CollisionClusterer

texts = {}
for part in ("fft", "linalg", "ndimage", "optimize", "signal", "spatial", "stats"):
    module = importlib.import_module(f"scipy.{part}")
    for name in module.__all__:
        described = inspect.getdoc(getattr(module, name)) or ""
        text = described.split("\nParameters\n")[0].split("\nNotes\n")[0]
        if callable(getattr(module, name)) and len(text) > 80:
            texts[text] = part
documents, parts = list(texts), np.array(list(texts.values()))
print(f"{len(documents)} texts, one of them:\n{documents[100]}")

# %%
# Embeddings
# ----------
# Anything that turns texts into vectors will do. A sentence transformer knows more of
# language; counts of words need no download.


class Words(BaseEmbedder):
    """Counts of words, in 50 dimensions."""

    def __init__(self, documents):
        super().__init__()
        counts = TfidfVectorizer(stop_words="english", min_df=2, sublinear_tf=True)
        svd = TruncatedSVD(50, random_state=0)
        self.model = make_pipeline(counts, svd, Normalizer()).fit(documents)

    def embed(self, documents, verbose=False):
        return self.model.transform(documents)


# %%
# Topics
# ------
# The network reduces dimensions itself, so that UMAP is left out. BERTopic calls the
# largest topic 0.
embedder = Words(documents)
topic_model = BERTopic(
    embedding_model=embedder,
    umap_model=BaseDimensionalityReduction(),
    hdbscan_model=CollisionClusterer(n_clusters=7, random_state=0),
    vectorizer_model=CountVectorizer(stop_words="english", min_df=2),
)
topics, probabilities = topic_model.fit_transform(documents)
for topic in sorted(set(topics)):
    words = [word for word, _ in topic_model.get_topic(topic)]
    print(topic, topics.count(topic), " ".join(words[:7]))

# %%
# Beside the subpackages
# ----------------------
# Most topics are a part of one subpackage. The largest takes the texts that share few
# words with others: the balance of the clusters, ``fairness_weight``, lets it be large.
print(pd.crosstab(pd.Series(topics, name="topic"), pd.Series(parts, name="part")))

# %%
# What is doubtful
# ----------------
# The table of documents has the probability of each one's topic.
table = topic_model.get_document_info(documents)
print(table.sort_values("Probability")[["Document", "Topic", "Probability"]].head(3))

# %%
# New texts
# ---------
# ``transform`` gives their topics. The probabilities of all clusters come from the
# clusterer, and ``topic_mapper_`` says which topic a cluster is.
new = ["Design a low-pass filter.", "Test the hypothesis that two samples are alike."]
found, _ = topic_model.transform(new)
clusters = topic_model.hdbscan_model.predict_proba(embedder.embed(new))
topic_of = topic_model.topic_mapper_.get_mappings()
for text, topic, row in zip(new, found, clusters, strict=True):
    assert topic == topic_of[row.argmax()]
    print(f"{text} Topic {topic}, probability {row.max():.2f}")
