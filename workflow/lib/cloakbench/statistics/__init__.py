"""From ranks to rates and their uncertainty. Knows data frames only."""
