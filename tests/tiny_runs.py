"""The least trainings there are."""

#: Options of a training of copying of a tenth of a second.
TINY = {
    "hidden_size": 12, "embedding_size": 4, "num_rims": 3, "num_active": 2, "span": 2,
    "test_spans": [3], "epochs": 2, "batch_size": 4, "train_size": 10, "valid_size": 6,
    "test_size": 6, "device": "cpu",
}  # fmt: skip

#: Of the budget alone, one update per epoch.
LEAST = {"epochs": 1, "batch_size": 8, "train_size": 8, "valid_size": 4, "test_size": 4}
