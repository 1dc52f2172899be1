"""A Kafka consumer whose effects and offsets are one transaction, and the parts that it is made of."""
