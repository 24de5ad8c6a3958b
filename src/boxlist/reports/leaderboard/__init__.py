"""One table across checkpoints, adapters and controls: `boxlist leaderboard`."""
