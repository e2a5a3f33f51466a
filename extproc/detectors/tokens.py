"""Tokens that announce themselves: a prefix that their issuer publishes, then random characters.

Forms follow the issuers' documentation, or what they hand to GitHub's and their own secret scanners. What stands where
people write placeholders (`ghp_xxxx…`) has too little entropy to be reported.
"""

from __future__ import annotations

from typing import Final

from extproc.recogniser import Entity, PatternDetector, Recogniser, whole_token

_BITS: Final = 3.0
"""Random letters and digits of twenty bytes have some 3.9 bits a byte, hexadecimal ones some 3.3."""
_B64: Final = "[A-Za-z0-9_-]"
_AN: Final = "[A-Za-z0-9]"
_HEX: Final = "[0-9a-f]"
_UUID: Final = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


def _token(
    name: str, what: str, *forms: tuple[str, str], bytes_max: int = 256, bits: float = _BITS, trigger: str = ""
) -> Entity:
    """`forms`: what a token begins with, and how it goes on. The prefilter looks for the beginning, or for `trigger`
    where a token begins with anything."""
    return Entity(
        name,
        what,
        tuple(
            Recogniser(rf"\b{begins}{rest}", whole_token(0.95, bits), bytes_max, trigger=trigger or rf"\b{begins}")
            for begins, rest in forms
        ),
        form=", ".join(_shown(begins) for begins, _ in forms),
    )


def _shown(begins: str) -> str:
    """For people: `gh[pousr]_` stays as it is, escapes go."""
    return begins.replace("\\", "").replace("(?:", "(") + "…"


DETECTOR: Final = PatternDetector(
    "tokens",
    "secret",
    (
        # ── models ──
        _token("GROQ_API_KEY", "Groq key", ("gsk_", f"{_AN}{{40,60}}")),
        _token("XAI_API_KEY", "xAI key", ("xai-", f"{_AN}{{60,100}}")),
        _token("OPENROUTER_API_KEY", "OpenRouter key", ("sk-or-v1-", f"{_HEX}{{64}}")),
        _token("HUGGINGFACE_TOKEN", "Hugging Face token", ("hf_", f"{_AN}{{30,40}}"), ("api_org_", f"{_AN}{{34}}")),
        _token("REPLICATE_TOKEN", "Replicate token", ("r8_", f"{_AN}{{37}}")),
        _token("PINECONE_API_KEY", "Pinecone key", ("pcsk_", f"{_AN}{{4,7}}_{_AN}{{50,70}}")),
        _token("PERPLEXITY_API_KEY", "Perplexity key", ("pplx-", f"{_AN}{{40,64}}")),
        _token("CEREBRAS_API_KEY", "Cerebras key", ("csk-", f"{_AN}{{40,64}}")),
        _token("NVIDIA_API_KEY", "NVIDIA API catalogue key", ("nvapi-", f"{_B64}{{60,72}}")),
        _token("TOGETHER_API_KEY", "Together AI key", ("tgp_v1_", f"{_B64}{{40,48}}")),
        _token("FIREWORKS_API_KEY", "Fireworks AI key", ("fw_[A-Za-z0-9]{8}", f"{_AN}{{14,32}}"), bits=3.6),
        _token("ELEVENLABS_API_KEY", "ElevenLabs key", ("sk_[0-9a-f]{8}", f"{_HEX}{{40}}")),
        _token("JINA_API_KEY", "Jina AI key", ("jina_", f"{_HEX}{{32}}{_B64}{{28}}")),
        _token("VOYAGE_API_KEY", "Voyage AI key", ("pa-[A-Za-z0-9_-]{8}", f"{_B64}{{35}}"), bits=4.2),
        _token("TAVILY_API_KEY", "Tavily key", ("tvly-", f"(?:dev-|prod-)?{_AN}{{32}}")),
        _token("FIRECRAWL_API_KEY", "Firecrawl key", ("fc-[0-9a-f]{8}", f"{_HEX}{{24}}")),
        _token("LANGSMITH_API_KEY", "LangSmith key", ("lsv2_(?:pt|sk)_", f"{_HEX}{{32}}_{_HEX}{{10}}")),
        _token("LANGFUSE_SECRET_KEY", "Langfuse secret key", ("sk-lf-", _UUID)),
        _token("WANDB_API_KEY", "Weights & Biases key", ("wandb_v1_", f"{_B64}{{60,90}}")),
        # ── code and packages ──
        _token(
            "GITHUB_TOKEN",
            "GitHub token: personal, OAuth, app, refresh, fine-grained",
            ("gh[pousr]_", f"{_AN}{{36,255}}"),
            ("github_pat_", "[A-Za-z0-9_]{82}"),
        ),
        _token(
            "GITLAB_TOKEN",
            "GitLab token: personal, deploy, runner, feed, trigger, agent, OAuth",
            (
                "gl(?:pat|dt|ft|rt|soat|cbt|imt|ptt|agent|oas|ffct)-",
                r"[A-Za-z0-9_-]{20,80}(?:\.[0-9a-z]{2}\.?[0-9a-z]{7,9})?",
            ),
            ("GR1348941", f"{_B64}{{20}}"),
        ),
        _token(
            "ATLASSIAN_TOKEN",
            "Atlassian and Bitbucket token",
            ("AT(?:ATT|CTT)3", "[A-Za-z0-9_=-]{90,250}"),
            ("ATBB", "[A-Za-z0-9_=-]{24,60}"),
        ),
        _token("NPM_TOKEN", "npm token", ("npm_", f"{_AN}{{36}}")),
        _token("PYPI_TOKEN", "PyPI token", ("pypi-AgE", f"{_B64}{{50,500}}"), bytes_max=520),
        _token("RUBYGEMS_API_KEY", "RubyGems key", ("rubygems_", f"{_HEX}{{48}}")),
        _token("CRATES_IO_TOKEN", "crates.io token", ("cio[A-Za-z0-9]{8}", f"{_AN}{{24}}"), bits=3.6),
        _token("NUGET_API_KEY", "NuGet key", ("oy2[a-z0-9]{8}", "[a-z0-9]{35}"), bits=3.4),
        _token("CLOJARS_TOKEN", "Clojars token", ("CLOJARS_", f"{_AN}{{60}}")),
        _token("DOCKER_TOKEN", "Docker access token", ("dckr_[op]at_", f"{_B64}{{24,40}}")),
        _token(
            "ARTIFACTORY_TOKEN", "JFrog Artifactory key", ("AKCp", f"{_AN}{{60,80}}"), ("cmVmdGtu", f"{_AN}{{50,64}}")
        ),
        _token("POSTMAN_API_KEY", "Postman key", ("PMAK-", f"{_HEX}{{24}}-{_HEX}{{34}}")),
        _token("SONAR_TOKEN", "SonarQube token", ("sq[uap]_", f"{_HEX}{{40}}")),
        _token("SOURCEGRAPH_TOKEN", "Sourcegraph token", ("sgp_", "(?:(?:[A-Fa-f0-9]{16}|local)_)?[A-Fa-f0-9]{40}")),
        _token("OPENSHIFT_TOKEN", "OpenShift user token", ("sha256~", f"{_B64}{{43}}"), bits=3.6),
        _token("OCTOPUS_API_KEY", "Octopus Deploy key", ("API-[A-Z0-9]{8}", "[A-Z0-9]{18}"), bits=3.4),
        _token("BUILDKITE_TOKEN", "Buildkite token", ("bk(?:ua|at|pt)_", f"{_HEX}{{40}}")),
        # ── clouds and operations ──
        _token("DIGITALOCEAN_TOKEN", "DigitalOcean token", ("do[opr]_v1_", f"{_HEX}{{64}}")),
        _token("DATABRICKS_TOKEN", "Databricks token", ("dapi[0-9a-f]{8}", f"{_HEX}{{24}}(?:-[0-9])?"), bits=2.8),
        _token("HEROKU_API_KEY", "Heroku key", ("HRKU-", f"{_B64}{{36,70}}")),
        _token("VAULT_TOKEN", "HashiCorp Vault token", (r"hv[sbr]\.", f"{_B64}{{24,200}}")),
        _token(
            "TERRAFORM_TOKEN",
            "Terraform Cloud token",
            (r"[A-Za-z0-9]{14}\.atlasv1\.", "[A-Za-z0-9_=-]{60,70}"),
            trigger=r"\.atlasv1\.",
        ),
        _token("PULUMI_TOKEN", "Pulumi token", ("pul-", f"{_HEX}{{40}}")),
        _token(
            "DOPPLER_TOKEN",
            "Doppler token",
            (r"dp\.(?:pt|st|ct|sa|scim|audit)\.", r"(?:[a-z0-9_-]{2,35}\.)?[A-Za-z0-9]{40,44}"),
        ),
        _token(
            "ONEPASSWORD_TOKEN",
            "1Password service account token or secret key",
            ("ops_eyJ", "[A-Za-z0-9+/]{200,}={0,3}"),
            ("A3-[A-Z0-9]{6}-", r"(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}"),
            bytes_max=2048,
            bits=3.4,
        ),
        _token("INFRACOST_API_KEY", "Infracost key", ("ico-[A-Za-z0-9]{8}", f"{_AN}{{24}}"), bits=3.6),
        _token(
            "FLY_TOKEN",
            "Fly.io token",
            ("fo1_", f"{_B64}{{43}}"),
            ("fm[12][ar]?_", "[A-Za-z0-9+/]{100,}={0,3}"),
            bytes_max=4096,
        ),
        _token("NETLIFY_TOKEN", "Netlify token", ("nfp_", f"{_AN}{{36,40}}")),
        _token("RENDER_API_KEY", "Render key", ("rnd_", f"{_AN}{{28,36}}")),
        _token("VERCEL_TOKEN", "Vercel token", ("vc[paikr]_", f"{_AN}{{24,64}}")),
        _token("SUPABASE_KEY", "Supabase key", ("sbp_", f"(?:v0_)?{_HEX}{{40}}"), ("sb_secret_", f"{_B64}{{22,50}}")),
        _token("PLANETSCALE_TOKEN", "PlanetScale token", ("pscale_(?:tkn|pw|oauth)_", "[A-Za-z0-9_.=-]{32,64}")),
        _token(
            "CLOUDFLARE_KEY",
            "Cloudflare key",
            (r"v1\.0-", f"{_HEX}{{24}}-{_HEX}{{146}}"),
            ("cf[ua]t_", f"{_AN}{{40,60}}"),
        ),
        _token("ALIBABA_ACCESS_KEY", "Alibaba Cloud access key id", ("LTAI[A-Za-z0-9]{4}", f"{_AN}{{8,20}}"), bits=3.4),
        _token("TENCENT_SECRET_ID", "Tencent Cloud secret id", ("AKID[A-Za-z0-9]{8}", f"{_AN}{{24}}"), bits=3.6),
        _token(
            "YANDEX_API_KEY",
            "Yandex Cloud key",
            ("AQVN", f"{_B64}{{35,40}}"),
            ("YC[AON][A-Za-z0-9_-]{8}", f"{_B64}{{30,34}}"),
        ),
        _token("SCALINGO_TOKEN", "Scalingo token", ("tk-us-", f"{_B64}{{48}}")),
        _token("PREFECT_API_KEY", "Prefect key", ("pn[ubs]_", f"{_AN}{{36}}")),
        # ── watching ──
        _token("NEW_RELIC_KEY", "New Relic key", ("NR(?:AK|AL|II|IQ|JS|AA|RA)-", "[A-Za-z0-9_-]{19,64}")),
        _token("NEW_RELIC_LICENSE_KEY", "New Relic licence key", (f"{_HEX}{{36}}NRAL", ""), trigger=r"[0-9a-f]NRAL\b"),
        _token(
            "GRAFANA_TOKEN",
            "Grafana token",
            ("glsa_", f"{_AN}{{32}}_[A-Fa-f0-9]{{8}}"),
            ("glc_", "[A-Za-z0-9+/]{32,400}={0,3}"),
            bytes_max=420,
        ),
        _token(
            "SENTRY_TOKEN",
            "Sentry token",
            ("sntrys_eyJ", "[A-Za-z0-9+/=_-]{80,400}"),
            ("sntryu_", f"{_HEX}{{64}}"),
            bytes_max=420,
        ),
        _token("DYNATRACE_TOKEN", "Dynatrace token", (r"dt0[a-z][0-9]{2}\.", r"[A-Z0-9]{24}\.[A-Z0-9]{64}")),
        _token("POSTHOG_API_KEY", "PostHog personal key", ("phx_", f"{_AN}{{32,60}}")),
        # ── messages ──
        _token(
            "SLACK_TOKEN",
            "Slack token: bot, user, app, refresh, configuration",
            ("xox[abeoprs]-", "(?:[0-9]{8,13}-){1,3}[A-Za-z0-9-]{16,64}"),
            ("xapp-[0-9]-", "[A-Z0-9]{8,14}-[0-9]{8,14}-[A-Za-z0-9]{32,80}"),
            (r"xoxe(?:\.xox[bp])?-[0-9]-", f"{_B64}{{100,200}}"),
            bits=2.5,
        ),
        _token("SENDGRID_API_KEY", "SendGrid key", (r"SG\.[A-Za-z0-9_-]{20,24}\.", f"{_B64}{{39,50}}")),
        _token("MAILGUN_KEY", "Mailgun key", ("key-[0-9a-f]{8}", f"{_HEX}{{24}}"), bits=2.8),
        _token(
            "MAILGUN_SIGNING_KEY",
            "Mailgun key of the new form",
            (f"{_HEX}{{32}}-{_HEX}{{8}}-", f"{_HEX}{{8}}"),
            bits=2.8,
        ),
        _token(
            "MAILCHIMP_API_KEY",
            "Mailchimp key",
            (f"{_HEX}{{32}}-us", "[0-9]{1,2}"),
            bits=2.8,
            trigger=r"[0-9a-f]-us[0-9]",
        ),
        _token("BREVO_API_KEY", "Brevo key", ("xkeysib-", f"{_HEX}{{64}}-{_AN}{{16}}")),
        _token("RESEND_API_KEY", "Resend key", ("re_[A-Za-z0-9]{8}_", f"{_AN}{{24}}"), bits=3.6),
        _token("TWILIO_API_KEY", "Twilio key", ("SK[0-9a-f]{8}", f"{_HEX}{{24}}"), bits=2.8),
        # ── money ──
        _token(
            "STRIPE_KEY",
            "Stripe secret or restricted key, webhook secret",
            ("[sr]k_(?:live|test|prod)_", f"{_AN}{{10,247}}"),
            ("whsec_", "[A-Za-z0-9+/=]{32,64}"),
        ),
        _token(
            "SQUARE_TOKEN",
            "Square token",
            ("sq0(?:atp|csp|idp)-", f"{_B64}{{22,43}}"),
            ("EAAA[A-Za-z0-9_-]{8}", f"{_B64}{{48,52}}"),
            bits=3.4,
        ),
        _token("SHOPIFY_TOKEN", "Shopify token", ("shp(?:at|ca|pa|ss|ua|tka)_", "[A-Fa-f0-9]{32}"), bits=2.8),
        _token(
            "BRAINTREE_TOKEN",
            "PayPal Braintree token",
            (r"access_token\$(?:production|sandbox)\$", r"[0-9a-z]{16}\$[0-9a-f]{32}"),
        ),
        _token("PLAID_TOKEN", "Plaid token", ("access-(?:sandbox|development|production)-", _UUID)),
        _token("RAZORPAY_KEY", "Razorpay key", ("rzp_(?:live|test)_", f"{_AN}{{14,24}}")),
        _token("EASYPOST_API_KEY", "EasyPost key", ("EZ[AT]K[A-Za-z0-9]{8}", f"{_AN}{{46}}"), bits=3.6),
        _token("SHIPPO_TOKEN", "Shippo token", ("shippo_(?:live|test)_", f"{_HEX}{{40}}")),
        _token("DUFFEL_TOKEN", "Duffel token", ("duffel_(?:live|test)_", "[A-Za-z0-9_=-]{43}")),
        _token("FLUTTERWAVE_KEY", "Flutterwave key", ("FLW(?:SECK|PUBK)(?:_TEST)?-", "[A-Za-z0-9]{12,40}(?:-X)?")),
        # ── work ──
        _token("LINEAR_API_KEY", "Linear key", ("lin_(?:api|oauth)_", f"{_AN}{{32,64}}")),
        _token(
            "NOTION_TOKEN",
            "Notion token",
            ("ntn_[0-9]{11}", f"{_AN}{{35}}"),
            ("secret_[A-Za-z0-9]{8}", f"{_AN}{{35}}"),
            bits=3.6,
        ),
        _token("ASANA_TOKEN", "Asana token", ("[0-2]/[0-9]{13,17}(?:/[0-9]{13,17})?:", f"{_HEX}{{32}}")),
        _token("FIGMA_TOKEN", "Figma token", ("fig[doru]{1,2}_", f"{_B64}{{38,60}}")),
        _token("AIRTABLE_TOKEN", "Airtable token", (r"pat[A-Za-z0-9]{14}\.", f"{_HEX}{{64}}")),
        _token("HUBSPOT_TOKEN", "HubSpot token", ("pat-(?:na|eu|ap)[0-9]-", _UUID)),
        _token("TYPEFORM_TOKEN", "Typeform token", ("tfp_", r"[A-Za-z0-9_.=-]{40,64}")),
        _token("CONTENTFUL_TOKEN", "Contentful token", ("CFPAT-", f"{_B64}{{43}}")),
        _token("README_API_KEY", "ReadMe key", ("rdme_", f"{_AN}{{70}}")),
        _token("ADOBE_CLIENT_SECRET", "Adobe client secret", ("p8e-", f"{_AN}{{32}}")),
        _token(
            "FACEBOOK_TOKEN", "Meta access token", ("EAA[A-Za-z0-9]{8}", f"{_AN}{{80,400}}"), bytes_max=420, bits=3.8
        ),
        _token("INTRA42_SECRET", "42 client secret", ("s-s4t2(?:ud|af)-", f"{_HEX}{{64}}")),
        _token("AGE_SECRET_KEY", "age identity", ("AGE-SECRET-KEY-1", "[QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L]{58}")),
    ),
)
