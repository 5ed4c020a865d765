//! Keys for chat, mail, payment, monitoring and office work.

use super::format::{Format, token};

pub(super) const FORMATS: &[Format] = &[
    // Chat.
    token!(
        "Slack",
        "`xoxb-`, `xoxp-` and the like, groups of digits, 10 or more letters or digits",
        ["xoxb-", "xoxp-", "xoxe-", "xoxa-", "xoxs-"],
        r"\bxox[abeoprs]-(?:[0-9]{1,2}-)?(?:[0-9]{6,}-){1,3}[0-9A-Za-z]{10,64}"
    ),
    token!("Slack", "app token: `xapp-`", ["xapp-"], r"\bxapp-[0-9]-[A-Z0-9]{8,}-[0-9]{8,}-[0-9a-f]{32,64}"),
    token!(
        "Slack",
        "configuration token: `xoxe.xoxp-1-` or `xoxe-1-`, base64",
        ["xoxe.xoxp-1-"],
        r"\bxoxe(?:\.xox[bp])?-[0-9]-[A-Za-z0-9]{100,}\b"
    ),
    token!(
        "Slack",
        "webhook: `hooks.slack.com/services/` or `/workflows/`",
        ["hooks.slack.com/services/T"],
        r"\bhooks\.slack\.com/(?:services|workflows|triggers)/T[A-Z0-9]{7,}/[AB]?[A-Z0-9]{7,}/[A-Za-z0-9/]{20,}"
    ),
    token!(
        "Discord",
        "bot token: three parts that begin with `M`, `N` or `O`",
        [],
        r"\b[MNO][A-Za-z0-9_-]{23,27}\.[A-Za-z0-9_-]{6}\.[A-Za-z0-9_-]{27,38}"
    ),
    token!(
        "Discord",
        "webhook: `discord.com/api/webhooks/`",
        ["discord.com/api/webhooks/"],
        r"\bdiscord(?:app)?\.com/api(?:/v[0-9]{1,2})?/webhooks/[0-9]{17,20}/[A-Za-z0-9_-]{60,80}"
    ),
    token!("Telegram", "bot token: 8 to 10 digits, `:AA`, 33 characters", [], r"\b[0-9]{8,10}:AA[0-9A-Za-z_-]{33}\b"),
    token!(
        "Microsoft Teams",
        "webhook: `webhook.office.com/webhookb2/`",
        ["webhook.office.com/webhookb2/"],
        r"\bwebhook\.office\.com/webhookb2/[0-9a-f-]{36}@[0-9a-f-]{36}/IncomingWebhook/[0-9a-f]{32}/[0-9a-f-]{36}(?:/[0-9A-Za-z_-]{20,})?"
    ),
    token!(
        "Zapier",
        "webhook: `hooks.zapier.com/hooks/catch/`",
        ["hooks.zapier.com/hooks/catch/"],
        r"\bhooks\.zapier\.com/hooks/catch/[0-9]{5,}/[0-9a-z]{6,}"
    ),
    // Payment and trade.
    token!(
        "Stripe",
        "`sk_live_`, `sk_test_`, `rk_live_`, `rk_test_`, 16 or more letters or digits",
        ["sk_live_", "sk_test_", "rk_live_", "rk_test_"],
        r"\b[rs]k_(?:live|test|prod)_[0-9A-Za-z]{16,247}\b"
    ),
    token!(
        "Stripe",
        "webhook secret: `whsec_`, 32 or more letters or digits",
        ["whsec_"],
        r"\bwhsec_[0-9A-Za-z+/]{32,64}={0,2}"
    ),
    token!("Square", "access token: `EAAA`, 60 characters", ["EAAA"], r"\bEAAA[0-9A-Za-z_-]{60}"),
    token!(
        "Square",
        "`sq0atp-` or `sq0csp-`, 22 to 43 characters",
        ["sq0atp-", "sq0csp-"],
        r"\bsq0(?:atp|csp)-[0-9A-Za-z_-]{22,43}"
    ),
    token!(
        "PayPal, Braintree",
        "`access_token$production$`, 16 letters or digits, 32 hexadecimal digits",
        ["access_token$"],
        r"\baccess_token\$(?:production|sandbox)\$[0-9a-z]{16}\$[0-9a-f]{32}\b"
    ),
    token!(
        "Adyen",
        "`AQE`, a letter, `hmf`, three parts of base64",
        ["AQEyhmf", "AQEvhmf", "AQEmhmf", "AQEphmf"],
        r"\bAQE[a-z]hmf[0-9A-Za-z+/]{50,}={0,2}-[0-9A-Za-z+/]{43}=-[!#-&(-;=?-~]{12,16}"
    ),
    token!(
        "Shopify",
        "`shpat_`, `shpca_`, `shppa_`, `shpss_` or `shptka_`, 32 hexadecimal digits",
        ["shpat_", "shpca_", "shppa_", "shpss_"],
        r"\bshp(?:at|ca|pa|ss|tka)_[0-9a-fA-F]{32}\b"
    ),
    token!(
        "Razorpay",
        "`rzp_live_` or `rzp_test_`, 14 letters or digits",
        ["rzp_live_", "rzp_test_"],
        r"\brzp_(?:live|test)_[0-9A-Za-z]{14}\b"
    ),
    token!(
        "Flutterwave",
        "`FLWSECK-` or `FLWSECK_TEST-`, 32 lower-case letters or digits",
        ["FLWSECK"],
        r"\bFLWSECK(?:_TEST)?-[0-9a-z]{12,42}-X\b"
    ),
    token!(
        "Plaid",
        "`access-`, environment, a UUID",
        ["access-production-", "access-sandbox-"],
        r"\baccess-(?:sandbox|development|production)-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b"
    ),
    token!("EasyPost", "`EZAK` or `EZTK`, 54 letters or digits", ["EZAK", "EZTK"], r"\bEZ[AT]K[0-9A-Za-z]{54}\b"),
    token!(
        "Shippo",
        "`shippo_live_` or `shippo_test_`, 40 hexadecimal digits",
        ["shippo_"],
        r"\bshippo_(?:live|test)_[0-9a-f]{40}\b"
    ),
    token!(
        "Mollie, GoCardless",
        "`live_` or `test_`, 30 to 40 letters or digits",
        ["live_", "test_"],
        r"\b(?:live|test)_[0-9A-Za-z]{30,40}\b"
    ),
    token!(
        "Duffel",
        "`duffel_live_` or `duffel_test_`, 43 characters",
        ["duffel_"],
        r"\bduffel_(?:live|test)_[0-9A-Za-z_-]{43}"
    ),
    // Mail and messages.
    token!("SendGrid", "`SG.`, 22 and 43 characters", ["SG."], r"\bSG\.[0-9A-Za-z_-]{22}\.[0-9A-Za-z_-]{43}"),
    token!("Mailgun", "`key-`, 32 hexadecimal digits", ["key-"], r"\bkey-[0-9a-f]{32}\b"),
    token!("Mailgun", "32, 8 and 8 hexadecimal digits", [], r"\b[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}\b"),
    token!("Mailchimp", "32 hexadecimal digits, `-us` and a number", [], r"\b[0-9a-f]{32}-us[0-9]{1,2}\b"),
    token!("Mailchimp Transactional", "`md-`, 22 characters", ["md-"], r"\bmd-[0-9A-Za-z_-]{22}\b"),
    token!(
        "Brevo",
        "`xkeysib-` or `xsmtpsib-`, 64 hexadecimal digits, 16 letters or digits",
        ["xkeysib-", "xsmtpsib-"],
        r"\bx(?:key|smtp)sib-[0-9a-f]{64}-[0-9A-Za-z]{16}\b"
    ),
    token!("Resend", "`re_`, 8 and 24 letters or digits", ["re_"], r"\bre_[0-9A-Za-z]{8}_[0-9A-Za-z]{24}\b"),
    token!("MailerSend", "`mlsn.`, 64 hexadecimal digits", ["mlsn."], r"\bmlsn\.[0-9a-f]{64}\b"),
    token!("Klaviyo", "`pk_`, 34 hexadecimal digits", ["pk_"], r"\bpk_[0-9a-f]{34}\b"),
    token!("Twilio", "API key: `SK`, 32 hexadecimal digits", ["SK"], r"\bSK[0-9a-f]{32}\b"),
    // Monitoring.
    token!(
        "New Relic",
        "`NRAK-`, `NRJS-` or `NRII-`, 19 to 32 characters",
        ["NRAK-", "NRJS-", "NRII-"],
        r"\bNR(?:AK|JS|II|SP|RA)-[0-9A-Za-z_-]{19,32}\b"
    ),
    token!(
        "Grafana",
        "service account: `glsa_`, 32 letters or digits, 8 hexadecimal digits",
        ["glsa_"],
        r"\bglsa_[0-9A-Za-z]{32}_[0-9a-fA-F]{8}\b"
    ),
    token!("Grafana Cloud", "`glc_eyJ`, base64", ["glc_eyJ"], r"\bglc_eyJ[0-9A-Za-z+/]{40,}={0,2}"),
    token!("Sentry", "`sntrys_eyJ`, base64", ["sntrys_"], r"\bsntrys_eyJ[0-9A-Za-z+/=_-]{80,}"),
    token!("Sentry", "`sntryu_`, 64 hexadecimal digits", ["sntryu_"], r"\bsntryu_[0-9a-f]{64}\b"),
    token!(
        "Dynatrace",
        "`dt0c01.`, 24 and 64 capitals or digits",
        ["dt0c01.", "dt0s16."],
        r"\bdt0[a-z][0-9]{2}\.[A-Z0-9]{8,24}\.[A-Z0-9]{64}\b"
    ),
    token!(
        "Honeycomb",
        "`hcaik_`, `hcbik_` or `hcxik_`, 58 lower-case letters or digits",
        ["hcaik_", "hcbik_"],
        r"\bhc[a-z]ik_[0-9a-z]{58}\b"
    ),
    token!("PostHog", "`phx_` or `phs_`, 43 or more characters", ["phx_", "phs_"], r"\bph[sx]_[0-9A-Za-z_-]{43,50}"),
    // Office work.
    token!("Notion", "`ntn_`, 11 digits, 35 letters or digits", ["ntn_"], r"\bntn_[0-9]{11}[0-9A-Za-z]{35}\b"),
    token!("Notion", "`secret_`, 43 letters or digits", ["secret_"], r"\bsecret_[0-9A-Za-z]{43}\b"),
    token!(
        "Linear",
        "`lin_api_` or `lin_oauth_`, 40 to 64 letters or digits",
        ["lin_api_", "lin_oauth_"],
        r"\blin_(?:api|oauth)_[0-9A-Za-z]{40,64}\b"
    ),
    token!(
        "Airtable",
        "`pat`, 14 letters or digits, a dot, 64 hexadecimal digits",
        [],
        r"\bpat[0-9A-Za-z]{14}\.[0-9a-f]{64}\b"
    ),
    token!(
        "Asana",
        "a digit and `/`, one or two ids, `:`, 32 hexadecimal digits",
        [],
        r"\b[0-2]/[0-9]{15,17}(?:/[0-9]{15,17})?:[0-9a-f]{32}\b"
    ),
    token!("Figma", "`figd_`, 40 or more characters", ["figd_"], r"\bfigd_[0-9A-Za-z_-]{40,}"),
    token!(
        "HubSpot",
        "`pat-na1-` or `pat-eu1-`, a UUID",
        ["pat-na", "pat-eu"],
        r"\bpat-(?:na|eu|ap)[0-9]-[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b"
    ),
    token!("Dropbox", "`sl.`, 130 or more characters", ["sl.B", "sl.u"], r"\bsl\.[0-9A-Za-z_.-]{130,}"),
    token!("Contentful", "`CFPAT-`, 43 characters", ["CFPAT-"], r"\bCFPAT-[0-9A-Za-z_-]{43}"),
    token!("Typeform", "`tfp_`, 43 or more characters", ["tfp_"], r"\btfp_[0-9A-Za-z_.=-]{43,60}"),
    token!("Okta", "`SSWS `, `00`, 40 characters", ["SSWS 00"], r"\bSSWS 00[0-9A-Za-z_-]{40}"),
    token!("Facebook", "`EAA`, 100 or more letters or digits", ["EAAC", "EAAG"], r"\bEAA[0-9A-Za-z]{100,}\b"),
];
