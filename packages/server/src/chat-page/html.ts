/** The page at `/`. Its script and its style are files of their own, so that the policy can forbid all else. */
export const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Chat</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/chat/style.css">
<script type="module" src="/chat/client.js"></script>
</head>
<body>
<header>
<h1 id="model">Chat</h1>
<button type="button" id="new">New chat</button>
</header>
<details id="settings">
<summary>Settings</summary>
<label>System prompt <textarea id="system" rows="2"></textarea></label>
<label>Temperature <input id="temperature" type="number" min="0" max="2" step="0.1" placeholder="the model's own"></label>
<label>Longest answer, in tokens <input id="max-tokens" type="number" min="1" step="1" placeholder="no limit"></label>
<label>API key <input id="key" type="password" autocomplete="off"></label>
</details>
<main id="log" role="log" aria-live="polite" aria-label="Conversation" tabindex="0"></main>
<form id="form">
<label class="hidden" for="text">Message</label>
<textarea id="text" rows="2" placeholder="Write a message" required autofocus></textarea>
<button type="submit" id="send">Send</button>
<button type="button" id="stop" hidden>Stop</button>
</form>
<p id="status" role="status"></p>
</body>
</html>
`;
