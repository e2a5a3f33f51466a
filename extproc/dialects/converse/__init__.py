"""The grammar of Bedrock's Converse, which Amazon Nova speaks in InvokeModel too."""
