"""Export of a finished run to files that run without rewardsmith."""
