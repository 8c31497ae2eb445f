"""Instances of the suite of `convexgan.problems`."""

from benchopt import BaseDataset


class Dataset(BaseDataset):
    """An instance by its name; `convexgan.problems.suite()` lists all."""

    name = "suite"
    parameters = {  # noqa: RUF012
        "instance": [
            "linear/00",
            "quadratic/04",
            "quadratic/16",
            "quadratic-no-saddle/00",
            "polynomial/04",
            "relu-line/04",
            "relu-mixture/00",
            "particles/04",
            "kernel/00",
            "bilinear/04",
            "pictures/00",
            "conditional/00",
            "batches/00",
            "stochastic/00",
        ]
    }
    requirements = ("pip::convexgan[torch]",)
    test_parameters = {"instance": ["linear/00"]}  # noqa: RUF012

    def get_data(self):
        """The name, of which the objective makes the problem."""
        return {"instance": self.instance}
