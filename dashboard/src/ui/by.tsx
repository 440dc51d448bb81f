// Who did something.

import { userId } from "../state/session.ts";
import { Id } from "./id.tsx";

/** "by you", or by which user; nothing where nobody is named. `brief` where many of them stand below one another. */
export function By({ user, brief = false }: { user: string | null; brief?: boolean }) {
  if (user === null) return null;
  if (user === userId.value) return <>by you</>;
  if (brief) {
    return (
      <>
        by user <code title={user}>{user.slice(0, 8)}</code>
      </>
    );
  }
  return (
    <>
      by user <Id id={user} livemode={null} />
    </>
  );
}
