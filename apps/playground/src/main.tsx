import { render } from 'preact';
import { App } from './app.tsx';
import { start } from './state.ts';
import './styles/index.css';

const root = document.getElementById('app');
if (root) render(<App />, root);
void start();
