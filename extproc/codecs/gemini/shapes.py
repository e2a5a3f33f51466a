"""The messages of Google's requests, field by field (Gemini API reference, `v1beta`; Vertex AI reference, `v1`)."""

from __future__ import annotations

from extproc.codecs.gemini.proto import shape

GENERATE = shape(
    """contents systemInstruction generationConfig safetySettings tools toolConfig cachedContent labels model
    modelArmorConfig serviceTier store instances generateContentRequest"""
)
CODE_ASSIST = shape("model project userPromptId request")
CONTENT = shape("role parts")
PART = shape(
    """text inlineData fileData functionCall functionResponse executableCode codeExecutionResult toolCall toolResponse
    audioTranscription thought thoughtSignature videoMetadata mediaResolution mediaProcessing partMetadata
    speechMetadata documentMetadata spreadsheetMetadata audioMetadata"""
)
BLOB = shape("mimeType data displayName")
FILE = shape("mimeType fileUri displayName")
FUNCTION_CALL = shape("id name args partialArgs willContinue")
FUNCTION_RESPONSE = shape("id name response parts willContinue scheduling")
FUNCTION_RESPONSE_PART = shape("inlineData fileData mediaProcessing mediaResolution")
TOOL_CALL = shape("id toolType args")
TOOL_RESPONSE = shape("id toolType response")
CODE = shape("id language code")
CODE_RESULT = shape("id outcome output")
TRANSCRIPTION = shape("text finished languageCode speakerLabel words startOffset endOffset")
TOOL = shape(
    """functionDeclarations googleSearch googleSearchRetrieval codeExecution urlContext googleMaps computerUse
    fileSearch retrieval enterpriseWebSearch mcpServers parallelAiSearch exaAiSearch"""
)
FUNCTION = shape("name description parameters parametersJsonSchema response responseJsonSchema behavior")
TOOL_CONFIG = shape("functionCallingConfig retrievalConfig includeServerSideToolInvocations")
CALLING_CONFIG = shape("mode allowedFunctionNames streamFunctionCallArguments")
GENERATION_CONFIG = shape(
    """temperature topP topK candidateCount maxOutputTokens stopSequences responseMimeType responseSchema
    responseJsonSchema _responseJsonSchema responseFormat responseModalities responseLogprobs logprobs presencePenalty
    frequencyPenalty seed thinkingConfig mediaResolution speechConfig imageConfig routingConfig audioTimestamp
    enableEnhancedCivicAnswers enableAffectiveDialog modelSelectionConfig"""
)
ROUTING_CONFIG = shape("autoMode manualMode")
MANUAL_MODE = shape("modelName")
THINKING_CONFIG = shape("includeThoughts thinkingBudget thinkingLevel")
EMBED = shape(
    """model content requests instances parameters taskType title outputDimensionality autoTruncate
    embedContentConfig"""
)
EMBED_INSTANCE = shape("content text title taskType mimeType image video")
INTERACTION = shape(
    """model agent agentConfig input systemInstruction tools responseFormat responseMimeType responseModalities stream
    store background generationConfig previousInteractionId cachedContent serviceTier environment labels
    safetySettings continuationToken webhookConfig"""
)
INTERACTION_ITEM = shape("type role content text data uri mimeType summary signature id callId name arguments result")
INTERACTION_TOOL = shape("type name")
INTERACTION_CONFIG = shape(
    """temperature topP seed maxOutputTokens stopSequences thinkingLevel thinkingSummaries toolChoice speechConfig
    imageConfig videoConfig transcriptionConfig"""
)
