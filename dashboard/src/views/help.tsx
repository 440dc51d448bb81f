// The keys, and a switch to turn them off.

import { helpOpen, KEYS } from "../state/keyboard.ts";
import { setShortcuts, shortcuts } from "../state/prefs.ts";
import { Dialog } from "../ui/dialog.tsx";

export function Help() {
  if (!helpOpen.value) return null;
  const close = () => {
    helpOpen.value = false;
  };
  return (
    <Dialog title="Keyboard shortcuts" onClose={close}>
      <dl class="keys">
        {KEYS.map(([keys, does]) => (
          <div key={does}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label class="switch">
        <input type="checkbox" checked={shortcuts.value} onChange={(event) => setShortcuts(event.currentTarget.checked)} />
        Single-key shortcuts are on
      </label>
      <div class="dialog-actions">
        <button type="button" class="button button-primary" onClick={close}>
          Close
        </button>
      </div>
    </Dialog>
  );
}
