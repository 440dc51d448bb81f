//! Static files, as Vercel publishes the output folder.

use std::path::{Component, Path, PathBuf};

use axum::body::Body;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The file that `path` names below `folder`; a folder names its `index.html`.
pub(super) async fn find(folder: &Path, path: &str) -> Option<PathBuf> {
    let decoded = percent_decoded(path)?;
    let relative = Path::new(decoded.trim_start_matches('/'));
    // Nothing outside the folder, however it is spelled.
    if !relative.components().all(|component| matches!(component, Component::Normal(_)))
        || decoded.contains('\0')
    {
        return None;
    }
    let file = folder.join(relative);
    let metadata = tokio::fs::metadata(&file).await.ok()?;
    if metadata.is_file() {
        return Some(file);
    }
    let index = file.join("index.html");
    tokio::fs::metadata(&index).await.is_ok_and(|metadata| metadata.is_file()).then_some(index)
}

pub(super) async fn serve(method: &Method, file: &Path) -> Response {
    if !matches!(*method, Method::GET | Method::HEAD) {
        return (StatusCode::METHOD_NOT_ALLOWED, [(header::ALLOW, "GET, HEAD")]).into_response();
    }
    let Ok(content) = tokio::fs::read(file).await else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let kind = mime_guess::from_path(file).first_or_octet_stream();
    let kind = match (kind.type_(), kind.subtype().as_str()) {
        (mime_guess::mime::TEXT, _) | (_, "json" | "javascript") => format!("{kind}; charset=utf-8"),
        _ => kind.to_string(),
    };
    let length = content.len();
    let mut response =
        Response::new(if method == Method::HEAD { Body::empty() } else { Body::from(content) });
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=0, must-revalidate"));
    if let Ok(kind) = HeaderValue::from_str(&kind) {
        headers.insert(header::CONTENT_TYPE, kind);
    }
    response
}

fn percent_decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next()?, rest.next()?];
            bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}
