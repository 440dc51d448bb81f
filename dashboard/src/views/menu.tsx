// The menu of the person who is signed in: theme, keys, sign-out.

import { useEffect, useRef, useState } from "preact/hooks";
import { href } from "../state/router.ts";
import { helpOpen } from "../state/keyboard.ts";
import { setTheme, theme, type Theme } from "../state/prefs.ts";
import { email, signOut } from "../state/session.ts";
import { Glyph } from "../ui/glyph.tsx";
import { Segmented } from "../ui/segmented.tsx";

export function Menu() {
  const [open, setOpen] = useState(false);
  const box = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  useEffect(() => {
    if (!open) return;
    const outside = (event: Event) => {
      if (event.target instanceof Node && !box.current?.contains(event.target)) setOpen(false);
    };
    const escape = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      setOpen(false);
      button.current?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("focusin", outside);
    document.addEventListener("keydown", escape);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("focusin", outside);
      document.removeEventListener("keydown", escape);
    };
  }, [open]);
  const themes: [Theme, string][] = [
    ["auto", "System"],
    ["light", "Light"],
    ["dark", "Dark"],
  ];
  return (
    <div class="menu" ref={box}>
      <button ref={button} type="button" class="menu-button" aria-expanded={open} aria-controls="menu" onClick={() => setOpen(!open)}>
        <Glyph name="person" />
        <span class="visually-hidden">Account and settings</span>
      </button>
      {open && (
        <div class="menu-panel" id="menu">
          <p class="menu-who">
            <span class="quiet">Signed in as</span>
            <strong>{email.value}</strong>
          </p>
          <a class="menu-item menu-narrow" href={href("notifications")} onClick={() => setOpen(false)}>
            Notifications
          </a>
          <Segmented legend="Theme" value={theme.value} options={themes} onChange={setTheme} />
          <button
            type="button"
            class="menu-item"
            onClick={() => {
              setOpen(false);
              helpOpen.value = true;
            }}
          >
            Keyboard shortcuts <kbd>?</kbd>
          </button>
          <button type="button" class="menu-item" onClick={() => void signOut()}>
            Sign out
          </button>
        </div>
      )}
    </div>
  );
}
