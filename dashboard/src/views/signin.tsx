// The doors: sign-in, "admins only", and a start that failed.

import { useState } from "preact/hooks";
import type { ApiError } from "../api/client.ts";
import { authHost, retryAsAdmin, sendLink, signIn, signOut, startSession } from "../state/session.ts";
import { Glyph } from "../ui/glyph.tsx";
import { Failure } from "../ui/loading.tsx";

export function SignIn({ notice }: { notice: string | null }) {
  const [busy, setBusy] = useState<"password" | "link" | null>(null);
  const [problem, setProblem] = useState<string | null>(null);
  const [sentTo, setSentTo] = useState<string | null>(null);

  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const data = new FormData(form);
    const way = event.submitter?.getAttribute("value") === "link" ? "link" : "password";
    const mail = String(data.get("email") ?? "").trim();
    const password = String(data.get("password") ?? "");
    setProblem(null);
    setSentTo(null);
    if (!/^\S+@\S+$/.test(mail)) return refuse(form, "email", "Enter your email address.");
    if (way === "password" && password === "") return refuse(form, "password", "Enter your password, or request a sign-in link.");
    setBusy(way);
    const failed = way === "password" ? await signIn(mail, password) : await sendLink(mail);
    setBusy(null);
    if (failed !== null) setProblem(failed);
    else if (way === "link") setSentTo(mail);
  };
  const refuse = (form: HTMLFormElement, field: string, why: string) => {
    setProblem(why);
    (form.elements.namedItem(field) as HTMLInputElement).focus();
  };

  return (
    <main id="main" class="door" tabIndex={-1}>
      <div class="door-card">
        <h1>Sign in</h1>
        <p class="quiet">Only admins can use Billing operations.</p>
        {notice !== null && (
          <p class="notice" role="status">
            <Glyph name="info" /> {notice}
          </p>
        )}
        <form onSubmit={submit} noValidate>
          <label class="field">
            <span>Email</span>
            <input name="email" type="email" autocomplete="username" required aria-describedby={problem === null ? undefined : "problem"} />
          </label>
          <label class="field">
            <span>Password</span>
            <input name="password" type="password" autocomplete="current-password" aria-describedby={problem === null ? undefined : "problem"} />
          </label>
          <div role="alert" id="problem">
            {problem !== null && (
              <p class="problem">
                <Glyph name="triangle" /> {problem}
              </p>
            )}
          </div>
          <button class="button button-primary button-wide" type="submit" value="password" disabled={busy !== null}>
            {busy === "password" ? "Signing in…" : "Sign in"}
          </button>
          <button class="button button-wide" type="submit" value="link" disabled={busy !== null}>
            {busy === "link" ? "Sending…" : "Email me a sign-in link"}
          </button>
        </form>
        <div role="status">
          {sentTo !== null && (
            <p class="notice tone-ok">
              <Glyph name="check" /> If {sentTo} has an account, a link is on its way. Open it in this browser.
            </p>
          )}
        </div>
        <p class="door-foot quiet">{authHost.value === null ? "\u00a0" : `Accounts are managed at ${authHost.value}`}</p>
      </div>
    </main>
  );
}

export function Forbidden({ email }: { email: string }) {
  return (
    <main id="main" class="door" tabIndex={-1}>
      <div class="door-card">
        <h1>Admins only</h1>
        <p>
          You are signed in as <strong>{email}</strong>. That account is not an admin here, and this page shows
          every customer's data.
        </p>
        <p class="quiet">Ask whoever runs this deployment to make you an admin, then try again.</p>
        <div class="door-actions">
          <button type="button" class="button button-primary" onClick={retryAsAdmin}>
            Try again
          </button>
          <button type="button" class="button" onClick={() => void signOut()}>
            Sign in as someone else
          </button>
        </div>
      </div>
    </main>
  );
}

export function Broken({ error }: { error: ApiError }) {
  return (
    <main id="main" class="door" tabIndex={-1}>
      <div class="door-card">
        <h1>Billing operations</h1>
        <Failure error={error} onRetry={() => void startSession()} />
      </div>
    </main>
  );
}
