"""One table of tags for many logs, the sensors behind them and what is declared of each."""
