//! The OpenAPI 3.1 document, put together from what the endpoints say of themselves and the types that they serve.
//!
//! It is served as the static file `public/openapi.json`; a test compares the file with this module.

use serde_json::{Map, Value, json};

use crate::endpoints::{
    alerts, attend, config, drift, drift_approve, drift_except, drift_revert, export, health, metrics,
    monitor, notifications, policies, reconcile, reconcile_now, resolve, run, runs, stripe_events,
};
use crate::http::Endpoint;
use crate::http::operation::{Answer, Caller, Operation};

/// Every endpoint with its operations, in the order of the document.
fn endpoints() -> Vec<(Endpoint, Vec<Operation>)> {
    vec![
        (health::ENDPOINT, health::operations()),
        (config::ENDPOINT, config::operations()),
        (reconcile::ENDPOINT, reconcile::operations()),
        (monitor::ENDPOINT, monitor::operations()),
        (alerts::ENDPOINT, alerts::operations()),
        (resolve::ENDPOINT, resolve::operations()),
        (attend::ACKNOWLEDGE, attend::acknowledge_operations()),
        (attend::UNACKNOWLEDGE, attend::unacknowledge_operations()),
        (attend::SNOOZE, attend::snooze_operations()),
        (attend::UNSNOOZE, attend::unsnooze_operations()),
        (attend::NOTE, attend::note_operations()),
        (reconcile_now::ENDPOINT, reconcile_now::operations()),
        (drift::ENDPOINT, drift::operations()),
        (drift_approve::ENDPOINT, drift_approve::operations()),
        (drift_approve::MANY, drift_approve::operations_of_many()),
        (drift_revert::ENDPOINT, drift_revert::operations()),
        (drift_except::ENDPOINT, drift_except::operations()),
        (drift_except::END, drift_except::operations_of_end()),
        (policies::ENDPOINT, policies::operations()),
        (notifications::ENDPOINT, notifications::operations()),
        (runs::ENDPOINT, runs::operations()),
        (run::ENDPOINT, run::operations()),
        (export::ENDPOINT, export::operations()),
        (stripe_events::ENDPOINT, stripe_events::operations()),
        (metrics::ENDPOINT, metrics::operations()),
    ]
}

/// The document.
pub fn document() -> Value {
    let (mut paths, mut schemas) = (Map::new(), shared_schemas());
    for (endpoint, operations) in endpoints() {
        let methods = paths.entry(endpoint.route).or_insert_with(|| json!({}));
        for operation in operations {
            methods[operation.method] = describe(&operation);
            let answer = match operation.answer {
                Answer::Json(schema) => schema.all,
                Answer::Text(text) => text.line.map_or_else(Vec::new, |line| line.all),
            };
            let body = operation.body.into_iter().flat_map(|body| body.schema.all);
            schemas.extend(answer.into_iter().chain(body));
        }
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
                    "description": "RECONCILE_SECRET, MONITOR_SECRET, CRON_SECRET or METRICS_SECRET, or the _PREVIOUS twin of one."
                },
                "person": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A Supabase access token of an owner or admin of any organization."
                },
                "stripe": {
                    "type": "apiKey", "in": "header", "name": "Stripe-Signature",
                    "description": "Stripe's signature of the raw body, by STRIPE_WEBHOOK_SECRET."
                }
            },
            "schemas": schemas,
        }
    })
}

fn describe(operation: &Operation) -> Value {
    let mut responses = Map::new();
    responses.insert(
        "200".into(),
        json!({
            "description": "Done.",
            "headers": { "x-request-id": request_id_header() },
            "content": content(&operation.answer),
        }),
    );
    if let Answer::Text(text) = &operation.answer {
        for (name, description) in text.headers {
            responses["200"]["headers"][name] =
                json!({ "description": description, "schema": { "type": "string" } });
        }
    }
    if let Answer::Json(schema) = &operation.answer
        && let Some(links) = links(&schema.name)
    {
        responses["200"]["links"] = links;
    }
    let mut codes = vec![
        (400, "invalid_request"),
        (403, "forbidden"),
        (405, "method_not_allowed"),
        (413, "payload_too_large"),
        (500, "internal"),
    ];
    match operation.caller {
        Caller::Anyone => {}
        Caller::Stripe => codes.extend([(503, "not_configured"), (503, "database_unavailable")]),
        Caller::Admin | Caller::Machine | Caller::MachineOrAdmin => {
            codes.extend([(401, "unauthorized"), (503, "not_configured"), (503, "database_unavailable")]);
            codes.push((429, "rate_limited"));
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

    let security = match operation.caller {
        Caller::Anyone => json!([]),
        Caller::Admin => json!([{ "person": [] }]),
        Caller::Machine => json!([{ "machine": [] }]),
        Caller::MachineOrAdmin => json!([{ "machine": [] }, { "person": [] }]),
        Caller::Stripe => json!([{ "stripe": [] }]),
    };
    let mut described = json!({
        "operationId": operation.id,
        "summary": operation.summary,
        "security": security,
        "parameters": operation.parameters,
        "responses": responses,
    });
    if let Some(body) = &operation.body {
        described["requestBody"] = json!({
            "required": body.required,
            "content": { "application/json": {
                "schema": { "$ref": format!("#/components/schemas/{}", body.schema.name) },
                "example": body.example
            } }
        });
    }
    described
}

/// What an answer is made of.
fn content(answer: &Answer) -> Value {
    match answer {
        Answer::Json(schema) => json!({ "application/json": { "schema": {
            "allOf": [
                { "$ref": format!("#/components/schemas/{}", schema.name) },
                { "$ref": "#/components/schemas/Answered" }
            ]
        } } }),
        Answer::Text(text) => {
            let media = text.media.iter().map(|(media, description)| {
                let schema = json!({ "type": "string", "description": description });
                ((*media).to_owned(), json!({ "schema": schema }))
            });
            media.collect()
        }
    }
}

/// Where an answer leads.
fn links(answer: &str) -> Option<Value> {
    let (operations, id): (&[&str], _) = match answer {
        "AlertPage" => (
            &[
                "acknowledgeAlert",
                "unacknowledgeAlert",
                "snoozeAlert",
                "unsnoozeAlert",
                "noteAlert",
                "resolveAlert",
            ],
            "/alerts/0/id",
        ),
        "RunPage" => (&["getRun"], "/runs/0/id"),
        "RunAnswer" => (&["getRun"], "/reconciliation_log_id"),
        _ => return None,
    };
    let link = |operation: &&str| {
        let link =
            json!({ "operationId": operation, "parameters": { "id": format!("$response.body#{id}") } });
        ((*operation).to_owned(), link)
    };
    Some(Value::Object(operations.iter().map(link).collect()))
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
            headers["allow"] = json!({ "description": "The methods that this path answers.", "schema": { "type": "string" } });
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
        403 => "A valid session of somebody who is not an admin, or a page of another origin.",
        404 => "No such alert or run.",
        405 => "A method that this path does not answer.",
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
        "invalid_request" => "hours must be a whole number from 1 to 168.",
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

/// What all answers have in common.
fn shared_schemas() -> Map<String, Value> {
    let answered = json!({
        "type": "object",
        "required": ["request_id"],
        "properties": { "request_id": { "type": "string", "format": "uuid" } }
    });
    let error = json!({
        "type": "object",
        "required": ["error", "code", "request_id"],
        "properties": {
            "error": { "type": "string", "description": "A sentence for a person." },
            "code": { "type": "string", "description": "A stable code for machines." },
            "request_id": { "type": "string", "format": "uuid" },
            "retry_after": { "type": "integer", "minimum": 1, "description": "Seconds." }
        }
    });
    Map::from_iter([("Answered".into(), answered), ("Error".into(), error)])
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
