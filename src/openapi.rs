//! The OpenAPI 3.1 document of the nine endpoints: schemas from the types that are served, paths from one table.
//!
//! It is served as the static file `public/openapi.json`; a test holds the file against this module.

use serde_json::{Map, Value, json};
use utoipa::{PartialSchema, ToSchema};

use crate::alerts::{AlertPage, Cursor, Resolved, RunDetail, RunPage};
use crate::endpoints::config::PublicConfig;
use crate::endpoints::health::Health;
use crate::endpoints::monitor::MonitorAnswer;
use crate::endpoints::resolve::ResolveBody;
use crate::run_answer::RunAnswer;
use crate::runs::RunType;

/// Who an operation is for.
#[derive(Clone, Copy)]
enum Who {
    Anyone,
    Admin,
    Machine,
    MachineOrAdmin,
}

/// One operation.
struct Operation {
    path: &'static str,
    method: &'static str,
    id: &'static str,
    summary: &'static str,
    who: Who,
    /// The schema of the 200 answer.
    answer: &'static str,
    /// Query parameters, and `id` in the path.
    parameters: Vec<Value>,
    /// The schema of the body, where one is taken.
    body: Option<&'static str>,
    /// Codes beyond those that follow from who may call, by status.
    codes: &'static [(u16, &'static str)],
}

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut paths = Map::new();
    for operation in operations() {
        let methods = paths.entry(operation.path).or_insert_with(|| json!({}));
        methods[operation.method] = describe(&operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "billing-ops",
            "version": env!("CARGO_PKG_VERSION"),
            "summary": "Reconciles Stripe with Supabase, watches that this happens, and raises each alarm once.",
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" }
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "machine": {
                    "type": "http", "scheme": "bearer",
                    "description": "RECONCILE_SECRET, MONITOR_SECRET or CRON_SECRET, or the _PREVIOUS twin of one."
                },
                "person": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A Supabase access token of an owner or admin of any organization."
                }
            },
            "schemas": schemas(),
        }
    })
}

fn operations() -> Vec<Operation> {
    let hours = json!({
        "name": "hours", "in": "query", "required": false,
        "description": "How far back completed checkout sessions are searched.",
        "schema": { "type": "integer", "minimum": 1, "maximum": 168, "default": 24 }
    });
    let idempotency_key = json!({
        "name": "Idempotency-Key", "in": "header", "required": false,
        "description": "Makes runs of type request and webhook_failure idempotent. A UUID, wherever it is sent; without a meaning for the other types.",
        "schema": { "type": "string", "format": "uuid" }
    });
    let run_type = choice("type", "What the run is for.", RunType::WORDS, Some("scheduled"));
    let limit = json!({
        "name": "limit", "in": "query", "required": false, "description": "At most so many.",
        "schema": { "type": "integer", "minimum": 1, "maximum": 200, "default": 50 }
    });
    let cursor = |pattern: &str| {
        json!({
            "name": "cursor", "in": "query", "required": false, "description": "next_cursor of the page before.",
            "schema": { "type": "string", "pattern": pattern }
        })
    };
    let id = json!({
        "name": "id", "in": "path", "required": true, "schema": { "type": "string", "format": "uuid" }
    });
    let type_name = |description: &str| {
        json!({
            "name": "type", "in": "query", "required": false, "description": description,
            "schema": { "type": "string", "pattern": "^[a-z0-9_]{1,64}$" }
        })
    };

    const RUN_CODES: &[(u16, &str)] =
        &[(409, "conflict"), (429, "rate_limited"), (502, "stripe_error"), (503, "stripe_unavailable")];
    let reconcile = |method, id, summary| Operation {
        path: "/api/subscriptions/reconcile",
        method,
        id,
        summary,
        who: Who::Machine,
        answer: "RunAnswer",
        parameters: vec![run_type.clone(), hours.clone(), idempotency_key.clone()],
        body: None,
        codes: RUN_CODES,
    };
    let monitor = |method, id, summary| Operation {
        path: "/api/admin/billing-alerts/monitor",
        method,
        id,
        summary,
        who: Who::MachineOrAdmin,
        answer: "MonitorAnswer",
        parameters: vec![],
        body: None,
        codes: &[(429, "rate_limited")],
    };
    vec![
        Operation {
            path: "/api/health",
            method: "get",
            id: "health",
            summary: "Liveness, version, and which settings are present; with deep=1 the database too.",
            who: Who::Anyone,
            answer: "Health",
            parameters: vec![choice("deep", "Ask the database too.", &["0", "1"], Some("0"))],
            body: None,
            codes: &[(429, "rate_limited"), (503, "database_unavailable"), (503, "not_configured")],
        },
        Operation {
            path: "/api/config",
            method: "get",
            id: "config",
            summary: "What a browser may know: Supabase's URL and publishable key.",
            who: Who::Anyone,
            answer: "PublicConfig",
            parameters: vec![],
            body: None,
            codes: &[(503, "not_configured")],
        },
        reconcile("post", "reconcile", "One reconcile run."),
        reconcile("get", "reconcileByCron", "One reconcile run, as Vercel's cron asks for it."),
        monitor("post", "monitor", "Checks the monitoring conditions."),
        monitor("get", "monitorByCron", "Checks the monitoring conditions, as Vercel's cron asks for it."),
        Operation {
            path: "/api/admin/billing-alerts",
            method: "get",
            id: "listAlerts",
            summary: "Alerts, newest first, and the counts of the open ones.",
            who: Who::Admin,
            answer: "AlertPage",
            parameters: vec![
                choice("status", "Which alerts.", &["open", "resolved", "all"], Some("open")),
                choice("severity", "Of one severity.", &["critical", "high", "warning", "info"], None),
                type_name("Of one alert type."),
                limit.clone(),
                cursor(Cursor::PATTERN),
            ],
            body: None,
            codes: &[(429, "rate_limited")],
        },
        Operation {
            path: "/api/admin/billing-alerts/{id}/resolve",
            method: "post",
            id: "resolveAlert",
            summary: "Resolves one alert in the caller's name. Twice is the same as once.",
            who: Who::Admin,
            answer: "Resolved",
            parameters: vec![id.clone()],
            body: Some("ResolveBody"),
            codes: &[(404, "not_found"), (429, "rate_limited")],
        },
        Operation {
            path: "/api/admin/billing-alerts/reconcile",
            method: "post",
            id: "reconcileNow",
            summary: "Reconcile Now: one manual run in the caller's name.",
            who: Who::Admin,
            answer: "RunAnswer",
            parameters: vec![hours.clone()],
            body: None,
            codes: &[(429, "rate_limited"), (502, "stripe_error"), (503, "stripe_unavailable")],
        },
        Operation {
            path: "/api/admin/reconciliation-logs",
            method: "get",
            id: "listRuns",
            summary: "Runs, newest first.",
            who: Who::Admin,
            answer: "RunPage",
            parameters: vec![
                choice("status", "Of one status.", &["running", "success", "partial", "error"], None),
                choice("type", "Of one type.", RunType::WORDS, None),
                limit.clone(),
                cursor(Cursor::PATTERN),
            ],
            body: None,
            codes: &[(429, "rate_limited")],
        },
        Operation {
            path: "/api/admin/reconciliation-logs/{id}",
            method: "get",
            id: "getRun",
            summary: "One run with its findings.",
            who: Who::Admin,
            answer: "RunDetail",
            parameters: vec![id, type_name("Findings of one drift class."), limit, cursor("^[0-9]{1,18}$")],
            body: None,
            codes: &[(404, "not_found"), (429, "rate_limited")],
        },
    ]
}

fn choice(name: &str, description: &str, words: &[&str], default: Option<&str>) -> Value {
    let mut schema = json!({ "type": "string", "enum": words });
    if let Some(default) = default {
        schema["default"] = default.into();
    }
    json!({ "name": name, "in": "query", "required": false, "description": description, "schema": schema })
}

fn describe(operation: &Operation) -> Value {
    let mut responses = Map::new();
    responses.insert(
        "200".into(),
        json!({
            "description": "Done.",
            "headers": { "x-request-id": request_id_header() },
            "content": { "application/json": { "schema": {
                "allOf": [
                    { "$ref": format!("#/components/schemas/{}", operation.answer) },
                    { "$ref": "#/components/schemas/Answered" }
                ]
            } } }
        }),
    );
    if let Some(links) = links(operation.answer) {
        responses["200"]["links"] = links;
    }
    let mut codes = vec![
        (400, "invalid_request"),
        (403, "forbidden"),
        (405, "method_not_allowed"),
        (413, "payload_too_large"),
        (500, "internal"),
    ];
    match operation.who {
        Who::Anyone => {}
        Who::Admin | Who::Machine | Who::MachineOrAdmin => {
            codes.extend([(401, "unauthorized"), (503, "not_configured"), (503, "database_unavailable")]);
        }
    }
    codes.extend(operation.codes);
    codes.sort_unstable();
    codes.dedup();
    for (status, code) in codes {
        let response = responses.entry(status.to_string()).or_insert_with(|| error_response(status));
        response["content"]["application/json"]["examples"][code] = json!({ "value": {
            "error": sentence(code),
            "code": code,
            "request_id": "0b0e3b0e-8c3e-4d53-9d35-0c5a4c7c4f5e"
        } });
    }

    let security = match operation.who {
        Who::Anyone => json!([]),
        Who::Admin => json!([{ "person": [] }]),
        Who::Machine => json!([{ "machine": [] }]),
        Who::MachineOrAdmin => json!([{ "machine": [] }, { "person": [] }]),
    };
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "security": security,
        "parameters": operation.parameters,
        "responses": responses,
    });
    if let Some(body) = operation.body {
        described["requestBody"] = json!({
            "required": false,
            "content": { "application/json": {
                "schema": { "$ref": format!("#/components/schemas/{body}") },
                "example": { "note": "Refunded by hand; see ticket 4711." }
            } }
        });
    }
    described
}

/// Where an answer leads.
fn links(answer: &str) -> Option<Value> {
    let (operation, id) = match answer {
        "AlertPage" => ("resolveAlert", "/alerts/0/id"),
        "RunPage" => ("getRun", "/runs/0/id"),
        "RunAnswer" => ("getRun", "/reconciliation_log_id"),
        _ => return None,
    };
    Some(
        json!({ operation: { "operationId": operation, "parameters": { "id": format!("$response.body#{id}") } } }),
    )
}

fn request_id_header() -> Value {
    json!({ "description": "The request's id.", "schema": { "type": "string", "format": "uuid" } })
}

fn error_response(status: u16) -> Value {
    let mut headers = json!({ "x-request-id": request_id_header() });
    match status {
        401 => {
            headers["www-authenticate"] = json!({ "description": "Bearer", "schema": { "type": "string" } });
        }
        405 => {
            headers["allow"] = json!({ "description": "The methods.", "schema": { "type": "string" } });
        }
        429 | 503 => {
            headers["retry-after"] =
                json!({ "description": "Seconds, where waiting helps.", "schema": { "type": "integer" } });
        }
        _ => {}
    }
    json!({
        "description": sentence_of_status(status),
        "headers": headers,
        "content": { "application/json": {
            "schema": { "$ref": "#/components/schemas/Error" },
            "examples": {}
        } }
    })
}

fn sentence_of_status(status: u16) -> &'static str {
    match status {
        400 => "A parameter or the body is malformed, unknown or out of range.",
        401 => "No, empty, malformed or wrong credentials.",
        403 => "A valid session that is no admin's, or a page of another origin.",
        404 => "No such alert or run.",
        405 => "Another method than those of this document, HEAD where GET only reads, and OPTIONS.",
        409 => "An Idempotency-Key used again with other parameters.",
        413 => "A body over 64 KiB.",
        429 => "Too many calls from this address.",
        500 => "A bug; the log has the details.",
        502 => "Stripe refused, or answered nonsense. The run's fields are beside the error.",
        _ => "Not configured, or something that is needed does not answer.",
    }
}

fn sentence(code: &str) -> &'static str {
    match code {
        "invalid_request" => "hours is no whole number from 1 to 168.",
        "unauthorized" => "Valid credentials are required.",
        "forbidden" => "Only owners and admins of an organization may do this.",
        "not_found" => "There is no such alert.",
        "method_not_allowed" => "This path answers GET, HEAD, OPTIONS only.",
        "conflict" => "This Idempotency-Key was used before with another type or other hours.",
        "payload_too_large" => "The body is larger than 64 KiB.",
        "rate_limited" => "Too many calls from this address; try again in 42 s.",
        "internal" => "Something went wrong here. The log has the details under this request id.",
        "stripe_error" => "Stripe does not accept the key in STRIPE_SECRET_KEY.",
        "stripe_unavailable" => "Stripe cannot be reached or does not work.",
        "database_unavailable" => "The database does not answer at the moment.",
        "not_configured" => "RECONCILE_SECRET is not set.",
        _ => "",
    }
}

fn schemas() -> Value {
    fn add<T: PartialSchema + ToSchema>(collected: &mut Vec<(String, Value)>) {
        let mut found = vec![(T::name().into_owned(), T::schema())];
        T::schemas(&mut found);
        for (name, schema) in found {
            if let Ok(schema) = serde_json::to_value(schema) {
                collected.push((name, schema));
            }
        }
    }
    let mut collected = Vec::new();
    add::<Health>(&mut collected);
    add::<PublicConfig>(&mut collected);
    add::<RunAnswer>(&mut collected);
    add::<MonitorAnswer>(&mut collected);
    add::<AlertPage>(&mut collected);
    add::<Resolved>(&mut collected);
    add::<ResolveBody>(&mut collected);
    add::<RunPage>(&mut collected);
    add::<RunDetail>(&mut collected);
    let mut schemas: Map<String, Value> = collected.into_iter().collect();
    schemas.insert(
        "Answered".into(),
        json!({
            "type": "object",
            "required": ["request_id"],
            "properties": { "request_id": { "type": "string", "format": "uuid" } }
        }),
    );
    schemas.insert(
        "Error".into(),
        json!({
            "type": "object",
            "required": ["error", "code", "request_id"],
            "properties": {
                "error": { "type": "string", "description": "A sentence for a person." },
                "code": { "type": "string", "description": "A stable code for machines." },
                "request_id": { "type": "string", "format": "uuid" },
                "retry_after": { "type": "integer", "minimum": 1, "description": "Seconds." }
            }
        }),
    );
    Value::Object(schemas)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reference leads somewhere, or the document would be useless to the tools that read it.
    #[test]
    fn every_reference_leads_to_a_schema() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(reference)) = map.get("$ref") {
                        found.push(reference.clone());
                    }
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(items) => items.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let document = document();
        let mut found = Vec::new();
        references(&document, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("a local reference");
            assert!(document.pointer(pointer).is_some(), "{reference}");
        }
    }

    /// `UPDATE_OPENAPI=1 cargo test openapi` writes the file anew.
    #[test]
    fn the_served_document_is_the_one_of_this_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/public/openapi.json");
        if std::env::var_os("UPDATE_OPENAPI").is_some() {
            let text = serde_json::to_string_pretty(&document()).expect("serializes");
            std::fs::write(path, format!("{text}\n")).expect("public/ is there");
        }
        let served = std::fs::read_to_string(path).expect("public/openapi.json is there");
        // As values: in which order keys are written depends on what else of the workspace is built.
        let served: Value = serde_json::from_str(&served).expect("JSON");
        assert!(served == document(), "public/openapi.json is old: make openapi");
    }
}
