"""Apache Kafka on one machine, run by Java from artifacts that Maven resolves. Knows nothing of Sayso's topics."""
