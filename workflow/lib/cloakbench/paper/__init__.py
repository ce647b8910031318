"""The paper's Table 1 and claims beside a study's."""
